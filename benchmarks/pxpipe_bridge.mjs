// Runs pxpipe's own transform functions, offline. `node pxpipe_bridge.mjs FOLDER`: FOLDER is a checkout with its modules in dist/core.
// Each line in is {dialect, model, body}; each line out is the request that pxpipe would send, its pictures as "png SHA WIDTH HEIGHT".
// With the dialect "draw" the answer is how long it took to draw body.text.
import { createHash } from 'node:crypto';
import { createInterface } from 'node:readline';
import { pathToFileURL } from 'node:url';
import path from 'node:path';

const core = pathToFileURL(path.resolve(process.argv[2], 'dist/core') + '/').href;
const { transformRequest } = await import(core + 'transform.js');
const { transformOpenAIChatCompletions } = await import(core + 'openai.js');
const { transformGoogleGenerateContent } = await import(core + 'google.js');

const { reflow, renderTextToPngs } = await import(core + 'render.js');

// The seconds of CPU time that it takes to draw a text, after a first one that warms up the compiler.
async function drawn(text) {
  const began = process.cpuUsage();
  await renderTextToPngs(reflow(text) ?? text, 312);
  const { user, system } = process.cpuUsage(began);
  return (user + system) / 1e6;
}

const ways = {
  anthropic: (body, model) => transformRequest(body, { model }),
  openai: (body) => transformOpenAIChatCompletions(body, {}),
  gemini: (body, model) => transformGoogleGenerateContent(body, model, {}),
};

const named = new Map();
function picture(base64) {
  if (!named.has(base64)) {
    const header = Buffer.from(base64.slice(0, 64), 'base64');
    const sha = createHash('sha256').update(base64).digest('hex').slice(0, 16);
    named.set(base64, `png ${sha} ${header.readUInt32BE(16)} ${header.readUInt32BE(20)}`);
  }
  return named.get(base64);
}

function named_pictures(key, value) {
  if (typeof value !== 'string') return value;
  if (value.startsWith('data:image/png;base64,')) return picture(value.slice(22));
  return key === 'data' && value.startsWith('iVBORw0KGgo') ? picture(value) : value;
}

for await (const line of createInterface({ input: process.stdin })) {
  const { dialect, model, body } = JSON.parse(line);
  if (dialect === 'draw') {
    process.stdout.write(JSON.stringify({ seconds: await drawn(body.text) }) + '\n');
    continue;
  }
  const sent = await ways[dialect](new TextEncoder().encode(JSON.stringify(body)), model);
  const request = JSON.parse(new TextDecoder().decode(sent.body));
  process.stdout.write(JSON.stringify(request, named_pictures) + '\n');
}
