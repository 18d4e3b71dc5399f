// Prints what is new in a feed of events, one JSON object a line, and remembers how far it came.

import { getArguments, getEnvironment } from 'wasi:cli/environment@0.2.0';
import { getDirectories } from 'wasi:filesystem/preopens@0.2.0';

export const run = {
  async run() {
    const [, url] = getArguments();
    const { TOKEN } = Object.fromEntries(getEnvironment());
    try {
      await poll(url, TOKEN);
    } catch (error) {
      // Text on standard error is a line in Fluent Bit's log.
      console.error(`${error.name}: ${error.message}`);
      throw error;
    }
  },
};

async function poll(url, token) {
  const state = getDirectories().find(([, path]) => path === '/state')[0];
  let seen = readCursor(state);
  const response = await fetch(`${url}?after=${seen}`, {
    headers: token ? { authorization: `Bearer ${token}` } : {},
  });
  if (response.status !== 200) {
    throw new Error(`${url} answered ${response.status}`);
  }
  for (const event of await response.json()) {
    if (event.id > seen) {
      console.log(JSON.stringify(event));
      seen = event.id;
    }
  }
  writeCursor(state, seen);
}

function readCursor(state) {
  let file;
  try {
    file = state.openAt({}, 'cursor', {}, { read: true });
  } catch (error) {
    if (error.payload === 'no-entry') return 0;
    throw error;
  }
  const [bytes] = file.read(100n, 0n);
  return Number(new TextDecoder().decode(bytes));
}

function writeCursor(state, seen) {
  const file = state.openAt({}, 'cursor.new', { create: true, truncate: true }, { write: true });
  file.write(new TextEncoder().encode(String(seen)), 0n);
  state.renameAt('cursor.new', state, 'cursor');
}
