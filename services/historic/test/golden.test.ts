import { goldenTests } from '../../../libs/ngsi-core/test/golden/golden.js';
import { kafnusSettings } from '../../../libs/ngsi-core/test/golden/vectors.js';
import { agent } from '../src/agent.js';

goldenTests('historic', agent.configure(kafnusSettings).decide);
