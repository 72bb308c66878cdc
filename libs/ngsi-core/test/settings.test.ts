import { describe, expect, test } from '@jest/globals';
import { attributeCodes, rejectCodes, skipReasons } from '../src/codes.js';
import { dataModels } from '../src/route.js';
import { namingSettings, ngsiSettings, versionSettings } from '../src/settings.js';

describe('settings', () => {
  test.each(Object.entries(versionSettings))('%s: argument and environment are named for it', (key, setting) => {
    const kebab = key.replace(/[A-Z]/g, (capital) => `-${capital.toLowerCase()}`);
    expect(setting.arg).toBe(kebab);
    expect(setting.env).toMatch(/^KAFNUS_[A-Z_]+$/);
    expect(setting.doc).toMatch(/\.$/);
    if (Array.isArray(setting.format)) expect(setting.format).toContain(setting.default);
  });

  test('no two read the same variable', () => {
    const names = Object.values(versionSettings).map(({ env }) => env);
    expect(new Set(names).size).toBe(names.length);
  });

  test('each agent has those of the ones before', () => {
    expect(ngsiSettings).toMatchObject(namingSettings);
    expect(versionSettings).toMatchObject(ngsiSettings);
    expect(ngsiSettings.dataModel.format).toEqual(dataModels);
  });
});

test('codes are kebab-case, each is told once and explained', () => {
  const codes = [...Object.entries(rejectCodes), ...Object.entries(attributeCodes), ...Object.entries(skipReasons)];
  for (const [code, doc] of codes) {
    expect(code).toMatch(/^[a-z]+(-[a-z0-9]+)*$/);
    expect(doc).toMatch(/\.$/);
  }
  expect(new Set(codes.map(([code]) => code)).size).toBe(codes.length);
});
