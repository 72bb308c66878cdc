import { describe, expect, test } from '@jest/globals';
import { findInsert, mapLiterals, sqlIdentifier, sqlString } from '../src/sink-failure-sql.js';

const found = (text: string) => {
  const insert = findInsert(text);
  return insert && text.slice(insert.start, insert.end);
};

describe('the INSERT of a message, whole', () => {
  const prose = [
    '',
    ' was aborted: ERROR: x',
    ' fue abortada',
    '; DROP TABLE t',
    '\norg.postgresql.util.PSQLException',
    ']; nested',
  ];
  test.each([
    `INSERT INTO t VALUES (1)`,
    `insert  into t values (1)`,
    `INSERT INTO "s"."t" ("a","b") VALUES ('x','y')`,
    `INSERT INTO "db"."s"."t" ("a") VALUES ('16'::double precision)`,
    `INSERT INTO "s"."t" ("a","b") VALUES (('x'),('16'::double precision))`,
    `INSERT INTO t (a) VALUES ('a (b) c) d')`,
    `INSERT INTO t (a) VALUES ('it''s; "quoted" (')`,
    `INSERT INTO t ("a)b""c(") VALUES (1)`,
    `INSERT INTO t (a) VALUES (ST_GeomFromText('POINT(1 2)'),'b')`,
    `INSERT INTO t (a) VALUES (E'it\\'s (')`,
    `INSERT INTO t (a) VALUES ($x$ it's ( $x$, $$ ) $$)`,
    `INSERT INTO t (a) VALUES ('C:\\')`,
    `INSERT INTO t (a) VALUES ('INSERT INTO u VALUES (1)')`,
    `INSERT INTO t (a) VALUES (1e+21,-1.5,NULL,true)`,
    `INSERT INTO t (a) VALUES (1), (2),\n(3)`,
    `INSERT INTO t (a) VALUES (1) ON CONFLICT DO NOTHING`,
    `INSERT INTO t (a) VALUES (1) ON CONFLICT ("a","b") DO UPDATE SET "x"=EXCLUDED."x","y"=EXCLUDED."y"`,
    `INSERT INTO t (a) VALUES (1) ON CONFLICT ON CONSTRAINT pk DO UPDATE SET x = 'was aborted; (', y = t.y + 1`,
    `INSERT INTO t (a) VALUES (1) ON CONFLICT (a) DO UPDATE SET x = coalesce(t.x, 1)::double precision WHERE t.x <> 2 AND t.y IS NOT NULL`,
    `INSERT INTO t (a) VALUES (1) RETURNING "a"`,
  ])('%s', (sql) => {
    for (const rest of prose) {
      expect(found(sql + rest)).toBe(sql);
      expect(found(`Batch entry 0 ${sql}${rest}`)).toBe(sql);
    }
  });

  test('the first complete one', () => {
    expect(found(`INSERT INTO nothing, INSERT INTO t VALUES ('open, INSERT INTO`)).toBeUndefined();
    expect(found(`cannot INSERT INTO it: INSERT INTO t VALUES (1) and INSERT INTO u VALUES (2)`)).toBe(
      'INSERT INTO t VALUES (1)',
    );
  });

  test.each([
    'no statement',
    'REINSERT INTO t VALUES (1)',
    'INSERT INTO',
    'INSERT INTO t',
    'INSERT INTO t (a',
    'INSERT INTO t VALUES (1',
    "INSERT INTO t VALUES ('1)",
    'INSERT INTO "t VALUES (1)',
    'INSERT INTO t VALUES $x$(1)',
    'INSERT INTO t VALUES (1; DROP TABLE t)',
    'INSERT INTO t VALUES (1 -- )',
    'INSERT INTO t VALUES (1 /* ) */)',
    'insert into s.t (a) select a from jsonb_populate_record(null::s.t, $1)',
  ])('none in: %s', (text) => {
    expect(findInsert(text)).toBeUndefined();
  });

  test('the schema is the name before the table', () => {
    expect(findInsert('INSERT INTO t VALUES (1)')?.schema).toBeUndefined();
    expect(findInsert('INSERT INTO s.t VALUES (1)')?.schema).toBe('s');
    expect(findInsert('INSERT INTO "d"."s""x"."t" VALUES (1)')?.schema).toBe('s"x');
  });

  test('placeholders tell that the values are not there', () => {
    expect(findInsert('INSERT INTO t VALUES (?,?)')?.parameterised).toBe(true);
    expect(findInsert('INSERT INTO t VALUES ($1)')?.parameterised).toBe(true);
    expect(findInsert("INSERT INTO t VALUES ('?','$1',$$?$$)")?.parameterised).toBe(false);
  });
});

describe('literals', () => {
  test('strings and names cannot be left from within', () => {
    expect(sqlString(`it's \\ "x"\0;--`)).toBe(`'it''s \\ "x";--'`);
    expect(sqlIdentifier(`a"b\0'c`)).toBe(`"a""b'c"`);
  });

  test('are rewritten by what they hold', () => {
    const upper = (content: string) => content.toUpperCase();
    expect(mapLiterals(`INSERT INTO "t" VALUES ('it''s',x'ff',$a$b$a$,lower('x'))`, upper)).toBe(
      `INSERT INTO "T" VALUES ('IT''S',x'FF',$a$B$a$,lower('X'))`,
    );
  });

  test('and stay literals whatever they become', () => {
    const hostile = () => `'); DROP TABLE t; --$a$"`;
    expect(mapLiterals(`('x',E'x\\'y',"n",$a$x$a$)`, hostile)).toBe(
      `('''); DROP TABLE t; --$a$"',E'***',"'); DROP TABLE t; --$a$""",$a$***$a$)`,
    );
  });
});
