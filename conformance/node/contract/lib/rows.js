'use strict';
// CONTRACT.md as data: its rows, and what it says covers each.

const fs = require('node:fs');
const path = require('node:path');

const FILE = path.join(__dirname, '..', '..', '..', 'CONTRACT.md');

/** Row -> { text, covered }. A row of the table is `| A1 | text | where |`. */
function read() {
  const rows = new Map();
  for (const line of fs.readFileSync(FILE, 'utf8').split('\n')) {
    const found = /^\| ([A-Z]\d+) \| (.*) \| (.*) \|$/.exec(line);
    if (!found) continue;
    const [, row, text, covered] = found;
    if (rows.has(row)) throw new Error(`CONTRACT.md has ${row} twice`);
    rows.set(row, { text, covered });
  }
  return rows;
}

/** What is wrong between the rows and the cases of the areas: a row names its areas, and each of them has a case for it. */
function mistakes(rows, cases) {
  const wrong = [];
  for (const { area, name, rows: claimed } of cases) {
    for (const row of claimed) {
      if (!rows.has(row)) wrong.push(`${area}: "${name}" is for ${row}, which CONTRACT.md does not have`);
      else if (!rows.get(row).covered.includes(`\`${area}\``)) wrong.push(`${area}: "${name}" is for ${row}, whose line does not name \`${area}\``);
    }
  }
  const areas = new Set(cases.map(({ area }) => area));
  for (const [row, { covered }] of rows) {
    for (const [, area] of covered.matchAll(/`([a-z_]+)`/g)) {
      if (!areas.has(area)) continue;
      if (!cases.some((one) => one.area === area && one.rows.includes(row))) wrong.push(`${row} names \`${area}\`, which has no case for it`);
    }
    if (covered.trim() === '') wrong.push(`${row} is covered by nothing`);
  }
  return wrong;
}

module.exports = { read, mistakes };
