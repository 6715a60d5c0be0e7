// SPDX-License-Identifier: MIT
// What the behaviours were found to be: kept for `tests/interop/run.py table`, which writes
// docs/interop.md, and read from there.

import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

import { here } from './support.mjs';

/** Where behaviours are tried; a worker is of the kind that its place names. */
export const PLACES = ['page', 'dedicated', 'shared', 'service'];

/** What the table says of an outcome: a word, and after a colon why. */
export function cell({ lacks, moot, known, ok }) {
    if (lacks) {
        return `no API: \`${lacks}\` is missing`;
    }
    if (moot) {
        return `-: ${moot}`;
    }
    if (known?.startsWith('sometimes: ')) {
        return known;
    }
    return ok ? 'yes' : known ? `no: ${known}` : 'no';
}

/** Leave all of one engine's findings where the tables are made from. */
export function keep(engine, findings) {
    const folder = join(
        process.env.YOMO_INTEROP_CACHE || join(process.env.YOMO_BUILD_ROOT, 'interop'), 'found');
    mkdirSync(folder, { recursive: true });
    writeFileSync(join(folder, `browser ${engine.name}.json`), JSON.stringify({
        version: engine.version,
        findings: findings.map(({ file, title, cells }) =>
            ({ file, title, cells: PLACES.map((place) => cells[place] ?? '-') })),
    }));
}

/** What docs/interop.md says of a behaviour in an engine and place: yes, no, or no API. */
export function said(engine, place, file, title) {
    const text = readFileSync(join(here, '../../../docs/interop.md'), 'utf8');
    const part = text.split('<!-- generated: browsers -->')[1].split('<!-- end of browsers -->')[0];
    const rows = part.split('\n').filter((line) => line.startsWith('|'))
        .map((line) => line.split(/(?<!\\)\|/).slice(1, -1)
            .map((words) => words.trim().replaceAll('\\|', '|')));
    const column = rows[0]?.findIndex((name) => name.startsWith(engine)) ?? -1;
    const row = rows.find((words) => words[0] === file && words[1] === title);
    return row?.[column + PLACES.indexOf(place)]?.replace(/ \(.*/, '');
}
