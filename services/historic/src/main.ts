import { start } from '@kafnus/agent-runtime';
import { agent } from './agent.js';

await start(agent, import.meta.url);
