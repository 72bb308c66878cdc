/** `make bench-guard`: exit code 1 when a figure exceeds its budget. */
import { guard } from './guard/guard.js';

process.exit((await guard()) ? 0 : 1);
