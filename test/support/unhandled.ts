/** Backstage only logs these, so that in production the damage is silent. */
const unhandled: unknown[] = [];
const note = (error: unknown) => unhandled.push(error);

beforeAll(() => {
  process.on('unhandledRejection', note);
  process.on('uncaughtException', note);
});

afterEach(() => {
  expect(unhandled.splice(0)).toEqual([]);
});

afterAll(() => {
  process.off('unhandledRejection', note);
  process.off('uncaughtException', note);
});
