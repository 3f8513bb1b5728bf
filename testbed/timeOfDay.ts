export const timeOfDay = (time: number) =>
  new Date(time).toTimeString().slice(0, 8);
