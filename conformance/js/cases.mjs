// The JavaScript client against the server whose address is the argument. Each case
// prints "ok NAME" or "not ok NAME: REASON".
import assert from "node:assert/strict";
import { createHash, randomBytes } from "node:crypto";
import { connect, headers } from "@nats-io/transport-node";
import { AckPolicy, DeliverPolicy, jetstream, jetstreamManager, RetentionPolicy } from "@nats-io/jetstream";
import { Kvm } from "@nats-io/kv";
import { Objm } from "@nats-io/obj";

const nc = await connect({ servers: process.argv[2] });
const js = jetstream(nc);
const jsm = await jetstreamManager(nc);
const cases = [];
const test = (name, run) => cases.push({ name, run });

// collect takes n elements of an asynchronous iterator, then stops it.
async function collect(iterator, n) {
  const out = [];
  for await (const x of iterator) {
    out.push(x);
    if (out.length === n) break;
  }
  return out;
}

async function fill(stream, subject, n) {
  await jsm.streams.add({ name: stream, subjects: [subject + ".>"], allow_direct: true });
  for (let i = 1; i <= n; i++) {
    await js.publish(`${subject}.${i % 3}`, String(i));
  }
}

test("streams are created, listed, changed, purged and deleted", async () => {
  const made = await jsm.streams.add({ name: "MANAGED", subjects: ["managed.>"], max_msgs_per_subject: 10 });
  assert.equal(made.config.name, "MANAGED");
  assert.equal(made.config.max_msgs, -1);
  assert.equal((await jsm.streams.add({ name: "MANAGED", subjects: ["managed.>"], max_msgs_per_subject: 10 })).created, made.created);
  await assert.rejects(jsm.streams.add({ name: "OTHER", subjects: ["managed.x"] }), /overlap/);
  const changed = await jsm.streams.update("MANAGED", { description: "changed" });
  assert.equal(changed.config.description, "changed");
  const names = [];
  for await (const n of jsm.streams.names()) names.push(n);
  assert.ok(names.includes("MANAGED"));
  const infos = [];
  for await (const i of jsm.streams.list("managed.1")) infos.push(i.config.name);
  assert.deepEqual(infos, ["MANAGED"]);
  for (let i = 0; i < 5; i++) await js.publish("managed." + i, "x");
  const info = await jsm.streams.info("MANAGED", { subjects_filter: ">" });
  assert.equal(Object.keys(info.state.subjects).length, 5);
  assert.equal(await jsm.streams.deleteMessage("MANAGED", 2), true);
  await assert.rejects(jsm.streams.deleteMessage("MANAGED", 99));
  assert.equal((await jsm.streams.purge("MANAGED", { filter: "managed.4" })).purged, 1);
  assert.equal((await jsm.streams.purge("MANAGED", { keep: 1 })).purged, 2);
  assert.equal(await jsm.streams.find("managed.x"), "MANAGED");
  assert.equal(await jsm.streams.delete("MANAGED"), true);
  await assert.rejects(jsm.streams.info("MANAGED"), /stream not found/);
});

test("publishes are acknowledged, once, and under their conditions", async () => {
  await jsm.streams.add({ name: "PUB", subjects: ["pub.>"] });
  assert.deepEqual(await js.publish("pub.a", "1", { msgID: "x" }), { stream: "PUB", seq: 1, duplicate: false });
  assert.equal((await js.publish("pub.a", "1", { msgID: "x" })).duplicate, true);
  await assert.rejects(js.publish("pub.a", "2", { expect: { lastSequence: 7 } }), /wrong last sequence: 1/);
  await assert.rejects(js.publish("pub.a", "2", { expect: { streamName: "other" } }), /expected stream/);
  await js.publish("pub.b", "2", { expect: { lastSubjectSequence: 0 } });
  await assert.rejects(js.publish("nowhere", "x"), /no responders|stream/i);
  const acks = await Promise.all(Array.from({ length: 200 }, (_, i) => js.publish("pub.many", String(i))));
  assert.deepEqual(acks.map((a) => a.seq), Array.from({ length: 200 }, (_, i) => i + 3));
});

test("messages are read by sequence, subject and in batches", async () => {
  const h = headers();
  h.append("X-Key", "value");
  await jsm.streams.add({ name: "READ", subjects: ["read.>"], allow_direct: true });
  await js.publish("read.1", "one", { headers: h });
  await js.publish("read.2", "two");
  await js.publish("read.1", "three");
  const stored = await jsm.streams.getMessage("READ", { seq: 1 });
  assert.equal(stored.string(), "one");
  assert.equal(stored.header.get("X-Key"), "value");
  assert.equal((await jsm.direct.getMessage("READ", { last_by_subj: "read.1" })).string(), "three");
  assert.equal((await jsm.direct.getMessage("READ", { seq: 1 })).header.get("X-Key"), "value");
  assert.equal(await jsm.direct.getMessage("READ", { seq: 9 }), null);
  const batch = await collect(await jsm.direct.getBatch("READ", { seq: 1, batch: 10 }), 99);
  assert.deepEqual(batch.map((m) => m.string()), ["one", "two", "three"]);
  const last = await collect(await jsm.direct.getLastMessagesFor("READ", { multi_last: ["read.*"] }), 99);
  assert.deepEqual(last.map((m) => m.seq), [2, 3]);
});

test("a pull consumer fetches, consumes, naks, terminates and confirms", async () => {
  await fill("PULL", "pull", 10);
  await jsm.consumers.add("PULL", { durable_name: "c", ack_policy: AckPolicy.Explicit });
  const c = await js.consumers.get("PULL", "c");
  const first = await collect(await c.fetch({ max_messages: 3, expires: 2000 }), 99);
  assert.deepEqual(first.map((m) => m.string()), ["1", "2", "3"]);
  first[0].ack();
  first[1].nak();
  first[2].term("no use");
  const again = await c.next({ expires: 2000 });
  assert.equal(again.seq, 2);
  assert.equal(again.info.deliveryCount, 2);
  again.working();
  assert.equal(await again.ackAck(), true);
  const rest = [];
  const messages = await c.consume({ max_messages: 4 });
  for await (const m of messages) {
    rest.push(m.seq);
    await m.ackAck();
    if (m.info.pending === 0) break;
  }
  assert.deepEqual(rest, [4, 5, 6, 7, 8, 9, 10]);
  const info = await c.info();
  assert.equal(info.num_ack_pending, 0);
  assert.equal(info.num_pending, 0);
  assert.equal(info.ack_floor.stream_seq, 10);
  assert.equal(await c.next({ expires: 1000 }), null);
  const delayed = (async () => await c.next({ expires: 5000 }))();
  await js.publish("pull.x", "late");
  const late = await delayed;
  assert.equal(late.string(), "late");
  late.nak(100);
  assert.equal((await c.next({ expires: 5000 })).info.deliveryCount, 2);
  const listed = [];
  for await (const i of jsm.consumers.list("PULL")) listed.push(i.name);
  assert.deepEqual(listed, ["c"]);
  const until = new Date(Date.now() + 60_000);
  assert.equal((await jsm.consumers.pause("PULL", "c", until)).paused, true);
  assert.equal((await jsm.consumers.resume("PULL", "c")).paused, false);
  await jsm.consumers.update("PULL", "c", { max_deliver: 7 });
  assert.equal((await jsm.consumers.info("PULL", "c")).config.max_deliver, 7);
  assert.equal(await jsm.consumers.delete("PULL", "c"), true);
});

test("an ordered consumer sees every message in order", async () => {
  await fill("ORDERED", "ordered", 300);
  const all = await js.consumers.get("ORDERED");
  const messages = await all.consume({ max_messages: 50 });
  const seen = (await collect(messages, 300)).map((m) => m.seq);
  assert.deepEqual(seen, Array.from({ length: 300 }, (_, i) => i + 1));
  const some = await js.consumers.get("ORDERED", { filter_subjects: ["ordered.1", "ordered.2"], deliver_policy: DeliverPolicy.StartSequence, opt_start_seq: 100 });
  const filtered = await collect(await some.fetch({ max_messages: 5, expires: 2000 }), 5);
  assert.deepEqual(filtered.map((m) => m.seq), [100, 101, 103, 104, 106]);
});

test("a push consumer is pushed to", async () => {
  await fill("PUSH", "push", 6);
  await jsm.consumers.add("PUSH", { durable_name: "p", deliver_subject: "to.p", ack_policy: AckPolicy.Explicit, idle_heartbeat: 1_000_000_000, flow_control: true });
  const c = await js.consumers.getPushConsumer("PUSH", "p");
  const got = [];
  for await (const m of await c.consume()) {
    got.push(m.string());
    m.ack();
    if (got.length === 6) break;
  }
  assert.deepEqual(got, ["1", "2", "3", "4", "5", "6"]);
});

test("a work queue loses what is acknowledged", async () => {
  await jsm.streams.add({ name: "WORK", subjects: ["work.>"], retention: RetentionPolicy.Workqueue });
  for (let i = 0; i < 3; i++) await js.publish("work.a", String(i));
  await jsm.consumers.add("WORK", { durable_name: "w", ack_policy: AckPolicy.Explicit });
  const c = await js.consumers.get("WORK", "w");
  for (const m of await collect(await c.fetch({ max_messages: 3, expires: 2000 }), 99)) await m.ackAck();
  assert.equal((await jsm.streams.info("WORK")).state.messages, 0);
});

test("a bucket keeps keys, their history, and tells of changes", async () => {
  const kvm = new Kvm(nc);
  const kv = await kvm.create("bucket", { history: 5 });
  const told = [];
  const watch = await kv.watch();
  const watching = (async () => {
    for await (const e of watch) {
      told.push(`${e.operation} ${e.key}=${e.string()}`);
      if (told.length === 6) break;
    }
  })();
  const rev = await kv.create("a", "1");
  await assert.rejects(kv.create("a", "2"), /wrong last sequence/);
  await kv.update("a", "2", rev);
  await assert.rejects(kv.update("a", "3", rev), /wrong last sequence/);
  await kv.put("b.c", "x");
  assert.equal((await kv.get("a")).string(), "2");
  assert.equal((await kv.get("a", { revision: rev })).string(), "1");
  assert.equal(await kv.get("none"), null);
  assert.deepEqual((await collect(await kv.keys(), 99)).sort(), ["a", "b.c"]);
  await kv.delete("a");
  assert.equal((await kv.get("a")).operation, "DEL");
  const history = await collect(await kv.history({ key: "a" }), 99);
  assert.deepEqual(history.map((e) => e.operation), ["PUT", "PUT", "DEL"]);
  await kv.create("a", "back");
  await kv.purge("b.c");
  await watching;
  assert.deepEqual(told, ["PUT a=1", "PUT a=2", "PUT b.c=x", "DEL a=", "PUT a=back", "PURGE b.c="]);
  assert.deepEqual(await collect(await kv.keys("a"), 99), ["a"]);
  await kv.purgeDeletes(0);
  const status = await kv.status();
  assert.equal(status.bucket, "bucket");
  assert.equal(status.history, 5);
  const buckets = [];
  for await (const s of kvm.list()) buckets.push(s.bucket);
  assert.deepEqual(buckets, ["bucket"]);
  assert.equal(await kv.destroy(), true);
});

test("an object store gives back large objects", async () => {
  const objm = new Objm(nc);
  const os = await objm.create("objects", { description: "large ones" });
  const told = [];
  const watch = await os.watch();
  const watching = (async () => {
    for await (const i of watch) {
      if (i === null) continue;
      told.push(`${i.deleted ? "deleted" : "put"} ${i.name}`);
      if (told.length === 4) break;
    }
  })();
  const digest = (b) => createHash("sha256").update(b).digest("hex");
  const large = new Uint8Array(randomBytes(6 * 1024 * 1024 + 17));
  const info = await os.putBlob({ name: "large", description: "random" }, large);
  assert.equal(info.size, large.length);
  assert.equal(digest(await os.getBlob("large")), digest(large));
  const stream = new ReadableStream({
    start(c) {
      for (let at = 0; at < large.length; at += 100_000) c.enqueue(large.subarray(at, at + 100_000));
      c.close();
    },
  });
  await os.put({ name: "streamed", options: { max_chunk_size: 64 * 1024 } }, stream);
  const back = await os.get("streamed");
  const chunks = [];
  for await (const c of back.data) chunks.push(c);
  assert.ok(!(await back.error));
  assert.equal(digest(Buffer.concat(chunks)), digest(large));
  await os.putBlob({ name: "large" }, new Uint8Array(0));
  assert.equal((await os.getBlob("large")).length, 0);
  assert.deepEqual((await os.list()).map((i) => i.name).sort(), ["large", "streamed"]);
  await os.delete("streamed");
  assert.equal(await os.get("streamed"), null);
  assert.deepEqual((await os.list()).map((i) => i.name), ["large"]);
  await watching;
  assert.deepEqual(told, ["put large", "put streamed", "put large", "deleted streamed"]);
  assert.equal((await os.seal()).sealed, true);
  await assert.rejects(os.putBlob({ name: "more" }, new Uint8Array(1)));
  assert.equal(await os.destroy(), true);
});

for (const c of cases) {
  const timer = setTimeout(() => {
    console.log(`not ok ${c.name}: it takes too long`);
    process.exit(1);
  }, 20_000);
  try {
    await c.run();
    console.log(`ok ${c.name}`);
  } catch (e) {
    console.log(`not ok ${c.name}: ${String(e.stack ?? e).replaceAll("\n", " | ")}`);
  }
  clearTimeout(timer);
}
await nc.close();
console.log("done");
