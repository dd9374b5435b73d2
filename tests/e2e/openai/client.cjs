'use strict';
// What an application does with the official OpenAI client, against the Corral at $BASE_URL. Prints
// what passed as JSON; the first thing that is not as it must be ends it with exit status 1.

const assert = require('node:assert/strict');
const path = require('node:path');
const { createRequire } = require('node:module');

const folder = createRequire(path.join(process.env.OPENAI_NODE_DIR, 'package.json'));
const OpenAI = folder('openai');

// Node's own fetch, which the client takes when told to. Its default, node-fetch on kept-alive
// connections, fails ("Premature close") on every chunked answer with the Node of Debian 12
// (18.20.4) and of Debian 13 (20.19), llama-server's own answers too.
const transports = { fetch: globalThis.fetch };

let client;
const model = process.env.CHAT_MODEL;
const messages = [{ role: 'user', content: 'Tell me something.' }];
const fixed = { model, messages, temperature: 0, seed: 7, max_tokens: 12 };

async function listsModels() {
  const listed = [];
  for await (const entry of client.models.list()) {
    assert.equal(entry.object, 'model');
    listed.push(entry.id);
  }
  assert.deepEqual(listed, JSON.parse(process.env.MODELS));
}

async function chats() {
  const answer = await client.chat.completions.create(fixed);
  assert.equal(answer.object, 'chat.completion');
  assert.equal(answer.choices[0].message.role, 'assistant');
  assert.ok(answer.choices[0].message.content.length > 0);
  assert.equal(answer.choices[0].finish_reason, 'length');
  assert.equal(answer.usage.completion_tokens, 12);
  return answer.choices[0].message.content;
}

async function streams(expected) {
  const stream = await client.chat.completions.create({
    ...fixed,
    stream: true,
    stream_options: { include_usage: true },
  });
  let text = '';
  let pieces = 0;
  let usage = null;
  for await (const chunk of stream) {
    assert.equal(chunk.object, 'chat.completion.chunk');
    const piece = chunk.choices[0]?.delta?.content;
    if (piece) {
      text += piece;
      pieces += 1;
    }
    usage = chunk.usage ?? usage;
  }
  assert.equal(text, expected, 'streamed and whole answers are the same');
  assert.ok(pieces > 1, 'the answer came in pieces');
  assert.equal(usage.completion_tokens, 12);
}

async function embeds() {
  const input = ['a horse', 'a corral for horses'];
  const answer = await client.embeddings.create({
    model: process.env.EMBEDDING_MODEL,
    input,
    encoding_format: 'float',
  });
  assert.equal(answer.object, 'list');
  assert.deepEqual(answer.data.map((entry) => entry.index), [0, 1]);
  const [first, second] = answer.data.map((entry) => entry.embedding);
  assert.equal(first.length, second.length);
  assert.ok(first.length >= 64 && first.every(Number.isFinite));
  assert.notDeepEqual(first, second);
}

async function namesAnUnknownModel() {
  await assert.rejects(
    client.chat.completions.create({ ...fixed, model: 'no-such-model' }),
    (error) => {
      assert.ok(error instanceof OpenAI.NotFoundError, String(error));
      assert.equal(error.status, 404);
      assert.equal(error.code, 'model_not_found');
      assert.equal(error.param, 'model');
      assert.match(error.message, /no-such-model/);
      return true;
    },
  );
}

async function main() {
  const passed = {};
  for (const [name, fetch] of Object.entries(transports)) {
    client = new OpenAI({
      baseURL: process.env.BASE_URL,
      apiKey: 'sk-not-needed',
      maxRetries: 0,
      timeout: 120_000,
      fetch,
    });
    passed[name] = [];
    await listsModels();
    passed[name].push('models');
    const text = await chats();
    passed[name].push('chat');
    await streams(text);
    passed[name].push('stream');
    await embeds();
    passed[name].push('embeddings');
    await namesAnUnknownModel();
    passed[name].push('not found');
  }
  process.stdout.write(JSON.stringify({ node: process.version, passed }));
}

main().catch((error) => {
  console.error(error);
  process.exitCode = 1;
});
