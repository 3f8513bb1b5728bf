import { backstageStatic } from './backstageStatic';
import type { Contender } from './contender';
import { databricksPool } from './databricksPool';
import { expirationChecker } from './expirationChecker';
import { lakebaseModule } from './lakebaseModule';
import { staticKnex } from './staticKnex';

export * from './contender';

/** In the order of tables. */
export const contenders: Contender[] = [
  staticKnex,
  backstageStatic,
  expirationChecker,
  databricksPool,
  lakebaseModule,
];

export {
  backstageStatic,
  databricksPool,
  expirationChecker,
  lakebaseModule,
  staticKnex,
};
