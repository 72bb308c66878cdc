/**
 * The three dashboards by file name. Their rows follow the order of a diagnosis, and their limits
 * are those of the alerts (deploy/alerts/kafnus.rules.yaml).
 */
import { agent } from './dashboards/agent.mjs';
import { fleet } from './dashboards/fleet.mjs';
import { tenant } from './dashboards/tenant.mjs';

export const dashboards = { 'fleet.json': fleet, 'agent.json': agent, 'tenant.json': tenant };
