#!/usr/bin/env node
// Checks the version of Node before anything else is loaded: older ones would fail on the first file with a message that
// helps nobody. So this file imports nothing at its top and is plain JavaScript that any of them can read.
const required = [22, 18];
const found = process.versions.node.split('.').map(Number);
const main = new URL('../dist/js/main.js', import.meta.url);

if (found[0] < required[0] || (found[0] === required[0] && found[1] < required[1])) {
  fail(
    `sdconvert needs Node ${required.join('.')} or newer, and this is Node ${process.versions.node} (${process.execPath}).`,
    'Install a newer one from https://nodejs.org (or: nvm install 24), and run the command again.',
  );
} else {
  import('node:fs').then(({ existsSync }) => {
    if (existsSync(main)) return import(main.href);
    fail('sdconvert has not been built here: dist/js/main.js is missing.', 'Build it first: npm run build');
  });
}

function fail(problem, advice) {
  process.exitCode = 1;
  console.error(`${problem}\n${advice}`);
}
