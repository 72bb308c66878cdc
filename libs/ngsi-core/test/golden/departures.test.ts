import { expect, test } from '@jest/globals';
import { unusedDepartures } from './golden.js';

test('every departure names a vector that exists', () => expect(unusedDepartures()).toEqual([]));
