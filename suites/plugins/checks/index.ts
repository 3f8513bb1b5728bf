import type { Check } from '../check';
import { auth } from './auth';
import { catalog } from './catalog';
import { events } from './events';
import { notifications } from './notifications';
import { permission } from './permission';
import { proxy } from './proxy';
import { scaffolder } from './scaffolder';
import { scheduler } from './scheduler';
import { searchCheck } from './search';
import { signals } from './signals';
import { techdocs } from './techdocs';
import { userSettings } from './userSettings';

/** The rows of the matrix. */
export const CHECKS = [
  catalog,
  searchCheck,
  scaffolder,
  events,
  auth,
  permission,
  notifications,
  signals,
  userSettings,
  techdocs,
  proxy,
  scheduler,
] as Check[];
