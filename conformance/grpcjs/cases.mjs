// gRPC's client for JavaScript against two servers, whose addresses are the arguments: one
// plain, one with TLS, and the file with who signed its certificate. Each case prints
// "ok NAME" or "not ok NAME: REASON".
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import grpc from "@grpc/grpc-js";
import { loadSync } from "@grpc/proto-loader";

const [plain, secure, ca] = process.argv.slice(2);
const file = fileURLToPath(new URL("../../api/liftbridge.proto", import.meta.url));
const { proto } = grpc.loadPackageDefinition(loadSync(file, { longs: Number, defaults: true, keepCase: true }));
const limits = { "grpc.max_receive_message_length": -1, "grpc.max_send_message_length": -1 };

const cases = [];
const test = (name, run) => cases.push({ name, run });
const soon = () => new Date(Date.now() + 20_000);

// ask makes a call of one message and one answer.
function ask(client, method, request, options = { deadline: soon() }) {
  return new Promise((resolve, reject) => client[method](request, options, (err, answer) => (err ? reject(err) : resolve(answer))));
}

const publishing = (value) => ({ stream: "s", value: Buffer.from(value), expectedOffset: -1 });

// refused has a call fail with a code.
async function refused(call, code, details) {
  await assert.rejects(call, (err) => {
    assert.equal(err.code, code, String(err));
    if (details) assert.match(err.details, details);
    return true;
  });
}

// collect takes n messages of a call that reads, and cancels it.
function collect(call, n) {
  return new Promise((resolve, reject) => {
    const list = [];
    call.on("data", (m) => {
      list.push(m);
      if (list.length === n) {
        call.cancel();
        resolve(list);
      }
    });
    call.on("error", (err) => (list.length < n ? reject(err) : undefined));
    call.on("end", () => (list.length < n ? reject(new Error(`${list.length} messages`)) : undefined));
  });
}

test("a stream is created, and published to", async (c) => {
  await ask(c, "CreateStream", { name: "s", subject: "s" });
  assert.equal((await ask(c, "Publish", publishing("one"))).ack.offset, 0);
  await refused(ask(c, "CreateStream", { name: "s", subject: "s" }), grpc.status.ALREADY_EXISTS);
  await refused(ask(c, "DeleteStream", { name: "none" }), grpc.status.NOT_FOUND, /stream/);
});

test("calls go on side by side", async (c) => {
  const answers = await Promise.all(Array.from({ length: 200 }, (_, i) => ask(c, "Publish", publishing("x".repeat(i * 50)))));
  assert.equal(new Set(answers.map((a) => a.ack.offset)).size, 200);
});

test("publishes that do not wait are answered, and then comes the end", async (c) => {
  const call = c.PublishAsync({ deadline: soon() });
  const answers = [];
  const ended = new Promise((resolve, reject) => {
    call.on("data", (a) => answers.push(a));
    call.on("error", reject);
    call.on("status", resolve);
  });
  for (let i = 0; i < 500; i++) call.write({ ...publishing(String(i)), correlationId: String(i) });
  call.end();
  assert.equal((await ended).code, grpc.status.OK);
  assert.deepEqual(answers.map((a) => a.correlationId), Array.from({ length: 500 }, (_, i) => String(i)));
});

test("a subscription delivers what there is and what comes", async (c) => {
  const call = c.Subscribe({ stream: "s", startPosition: "EARLIEST" }, { deadline: soon() });
  const got = collect(call, 703);
  await ask(c, "Publish", publishing("last"));
  const list = await got;
  assert.equal(list[1].value.toString(), "one");
  assert.equal(list[702].value.toString(), "last");
});

test("a long message goes both ways, in more than a window", async (c) => {
  const long = "0123456789abcdef".repeat(60_000);
  const { ack } = await ask(c, "Publish", publishing(long));
  const list = await collect(c.Subscribe({ stream: "s", startPosition: "OFFSET", startOffset: ack.offset }, { deadline: soon() }), 2);
  assert.equal(list[1].value.toString(), long);
  await refused(ask(c, "Publish", publishing(Buffer.alloc(5 << 20))), grpc.status.RESOURCE_EXHAUSTED, /grpc: received message larger than max/);
});

test("a slow reader gets everything", async (c) => {
  const call = c.Subscribe({ stream: "s" }, { deadline: soon() });
  const first = new Promise((resolve, reject) => {
    call.once("data", resolve);
    call.once("error", reject);
  });
  await first;
  call.pause();
  for (let i = 0; i < 30; i++) await ask(c, "Publish", publishing(Buffer.alloc(100_000, i)));
  const got = collect(call, 30);
  call.resume();
  assert.deepEqual((await got).map((m) => m.value[99_999]), Array.from({ length: 30 }, (_, i) => i));
});

test("a deadline ends a call", async (c) => {
  const call = c.Subscribe({ stream: "s" }, { deadline: new Date(Date.now() + 200) });
  await refused(collect(call, 1000), grpc.status.DEADLINE_EXCEEDED);
  await ask(c, "Publish", publishing("after"));
});

test("a cancelled call ends, and its connection goes on", async (c) => {
  for (let i = 0; i < 50; i++) {
    const call = c.PublishAsync({ deadline: soon() });
    const ended = new Promise((resolve) => call.on("error", resolve));
    call.on("data", () => call.cancel());
    call.write(publishing("x"));
    assert.equal((await ended).code, grpc.status.CANCELLED);
  }
  await ask(c, "Publish", publishing("after"));
});

test("what is refused says why", async (c) => {
  await refused(ask(c, "FetchPartitionMetadata", { stream: "é%" }), grpc.status.NOT_FOUND);
  const call = (path) =>
    new Promise((resolve, reject) => {
      const same = (b) => b;
      c.makeUnaryRequest(path, same, same, Buffer.alloc(0), { deadline: soon() }, (err, a) => (err ? reject(err) : resolve(a)));
    });
  await refused(call("/no.Service/Do"), grpc.status.UNIMPLEMENTED, /^unknown service no\.Service$/);
  await refused(call("/proto.API/a%b"), grpc.status.UNIMPLEMENTED, /^unknown method a%b for service proto\.API$/);
});

test("binary metadata is taken", async (c) => {
  const m = new grpc.Metadata();
  m.set("x-bin", Buffer.from([0, 1, 255]));
  m.add("x-plain", "a");
  m.add("x-plain", "b");
  await new Promise((resolve, reject) => c.FetchMetadata({}, m, { deadline: soon() }, (err, a) => (err ? reject(err) : resolve(a))));
});

for (const [kind, address, credentials] of [
  ["plain", plain, grpc.credentials.createInsecure()],
  ["TLS", secure, grpc.credentials.createSsl(readFileSync(ca))],
]) {
  const client = new proto.API(address, credentials, limits);
  for (const { name, run } of cases) {
    try {
      await run(client);
      console.log(`ok ${kind} ${name}`);
    } catch (err) {
      console.log(`not ok ${kind} ${name}: ${String(err).replaceAll("\n", " ")}`);
    }
  }
  client.close();
}
console.log("done");
