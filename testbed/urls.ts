/** What a portal answers, for whoever asks it over HTTP. */
export const URLS = {
  entities: '/api/catalog/entities?filter=kind=component',
  search: '/api/search/query?term=payment',
  readiness: '/.backstage/health/v1/readiness',
};
