import { goldenTests } from '../../../libs/ngsi-core/test/golden/golden.js';
import { kafnusSettings } from '../../../libs/ngsi-core/test/golden/vectors.js';
import { agent } from '../src/agent.js';

goldenTests('lastdata', agent.configure(kafnusSettings).decide);
