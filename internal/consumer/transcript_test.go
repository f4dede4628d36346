package consumer

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"
)

var update = flag.Bool("update", false, "rewrite the expected output in testdata")

// TestTranscripts runs each file of testdata: blocks of commands, a line ----,
// and what they print, up to an empty line. After every Step a replica that
// applies the changes is compared with the live consumer.
func TestTranscripts(t *testing.T) {
	files, err := filepath.Glob("testdata/*.txt")
	if err != nil || len(files) == 0 {
		t.Fatalf("no transcripts: %v", err)
	}
	for _, file := range files {
		name := strings.TrimSuffix(filepath.Base(file), ".txt")
		t.Run(name, func(t *testing.T) { runTranscript(t, file) })
	}
}

func runTranscript(t *testing.T, file string) {
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	w := newWorld(t)
	var got strings.Builder
	for i, block := range strings.Split(strings.TrimSpace(string(b)), "\n\n") {
		if i > 0 {
			got.WriteString("\n")
		}
		input, _, ok := strings.Cut(block, "----")
		got.WriteString(input)
		if !ok {
			got.WriteString("\n")
			if !strings.HasPrefix(strings.TrimSpace(input), "#") {
				t.Fatalf("no ---- after %q", input)
			}
			continue
		}
		got.WriteString("----\n")
		for line := range strings.Lines(input) {
			if line = strings.TrimSpace(line); line != "" && !strings.HasPrefix(line, "#") {
				w.run(line)
			}
		}
		got.WriteString(w.out.String())
		w.out.Reset()
	}
	if *update {
		if err := os.WriteFile(file, []byte(got.String()), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if got.String() != string(b) {
		t.Errorf("%s differs; run with -update and look at the difference. Got:\n%s", file, got.String())
	}
}

// world is a consumer with a stream, clients and a clock.
type world struct {
	t       *testing.T
	c       *Consumer
	cfg     Config
	replica *Replica
	src     stored
	now     time.Duration
	deaf    map[string]bool
	// seen is the last delivery of each sequence.
	seen  map[uint64]Delivery
	step  Output
	out   strings.Builder
	acked []uint64
}

// epoch is the clock's zero, far from 0.
const epoch = int64(1_700_000_000_000_000_000)

func newWorld(t *testing.T) *world {
	return &world{t: t, deaf: map[string]bool{}, seen: map[uint64]Delivery{}}
}

func (w *world) time() int64 { return epoch + int64(w.now) }

func (w *world) printf(format string, args ...any) { fmt.Fprintf(&w.out, format+"\n", args...) }

// args are a command's words: plain ones and key=value pairs.
type args struct {
	t     *testing.T
	plain []string
	named map[string]string
}

func (w *world) run(line string) {
	words := strings.Fields(line)
	a := args{t: w.t, named: map[string]string{}}
	for _, word := range words[1:] {
		if k, v, ok := strings.Cut(word, "="); ok {
			a.named[k] = v
		} else {
			a.plain = append(a.plain, word)
		}
	}
	verb, ok := verbs[words[0]]
	if !ok {
		w.t.Fatalf("no command %q", line)
	}
	verb(w, a)
	if w.c != nil {
		w.c.check(w.t)
	}
}

func (a args) num(key string, def int) int {
	v, ok := a.named[key]
	if !ok {
		return def
	}
	n, err := strconv.Atoi(v)
	if err != nil {
		a.t.Fatal(err)
	}
	return n
}

func (a args) dur(key string) time.Duration {
	v, ok := a.named[key]
	if !ok {
		return 0
	}
	return a.duration(v)
}

func (a args) duration(v string) time.Duration {
	d, err := time.ParseDuration(v)
	if err != nil {
		a.t.Fatal(err)
	}
	return d
}

func (a args) has(word string) bool {
	for _, p := range a.plain {
		if p == word {
			return true
		}
	}
	return false
}

// seqs reads sequences and ranges (3..7).
func (a args) seqs() (out []uint64) {
	for _, p := range a.plain {
		from, to, ok := strings.Cut(p, "..")
		first, err := strconv.ParseUint(from, 10, 64)
		if err != nil {
			a.t.Fatal(err)
		}
		last := first
		if ok {
			if last, err = strconv.ParseUint(to, 10, 64); err != nil {
				a.t.Fatal(err)
			}
		}
		for seq := first; seq <= last; seq++ {
			out = append(out, seq)
		}
	}
	return out
}

func (a args) config() Config {
	cfg := Config{
		AckWait: a.dur("ack_wait"), MaxDeliver: a.num("max_deliver", -1), MaxAckPending: a.num("max_ack_pending", 1000),
		MaxWaiting: a.num("max_waiting", 0), MaxBatch: a.num("max_batch", 0), MaxBytes: a.num("max_bytes", 0),
		MaxExpires: a.dur("max_expires"), InactiveThreshold: a.dur("inactive"),
	}
	switch a.named["ack"] {
	case "all":
		cfg.AckPolicy = AckAll
	case "none":
		cfg.AckPolicy = AckNone
	}
	if b := a.named["backoff"]; b != "" {
		for _, d := range strings.Split(b, ",") {
			cfg.Backoff = append(cfg.Backoff, a.duration(d))
		}
	}
	if to := a.named["push"]; to != "" {
		cfg.Push = &Push{Subject: to, FlowControl: a.has("flow"), Heartbeat: a.dur("heartbeat"), RateLimit: uint64(a.num("rate", 0))}
	}
	if policy := a.named["priority"]; policy != "" {
		cfg.Priority = &Priority{
			Policy:  map[string]PriorityPolicy{"overflow": PriorityOverflow, "pinned": PriorityPinned, "ranked": PriorityRanked}[policy],
			Groups:  strings.Split(a.named["groups"], ","),
			Timeout: a.dur("pin_timeout"),
		}
		pins := 0
		cfg.NewPin = func() string { pins++; return fmt.Sprint("pin", pins) }
	}
	cfg.Sample = a.num("sample", 0)
	cfg.ReplayOriginal = a.has("original")
	if at := a.dur("pause"); at > 0 {
		cfg.PauseUntil = epoch + int64(at)
	}
	if n := a.num("reply_len", 0); n > 0 {
		cfg.AckReplyLen = func(*Delivery) int { return n }
	}
	return cfg
}

var verbs = map[string]func(w *world, a args){
	"consumer": func(w *world, a args) {
		w.cfg = a.config()
		st := StartAt(uint64(a.num("start", 1)))
		w.c, w.replica = New(w.cfg, st), NewReplica(st)
		w.c.Replay(w.src.last)
	},
	"update": func(w *world, a args) {
		w.cfg = a.config()
		w.c.Update(w.cfg)
	},
	"restart": func(w *world, _ args) { // pins and requests are lost
		st, err := DecodeState(w.replica.AppendState(nil))
		if err != nil {
			w.t.Fatal(err)
		}
		w.c, w.replica = New(w.cfg, st), NewReplica(st)
		w.c.Replay(w.src.last)
	},
	"store": func(w *world, a args) {
		for _, seq := range a.seqs() {
			w.src.add(seq, a.num("size", 100))
			w.src.times[seq] = epoch + int64(a.dur("time"))
		}
	},
	"other": func(w *world, a args) { // records that do not match
		for _, seq := range a.seqs() {
			w.src.last = max(w.src.last, seq)
		}
	},
	"delete": func(w *world, a args) {
		for _, seq := range a.seqs() {
			w.src.remove(seq)
		}
		w.c.Removed(0, a.seqs()...)
		w.replica.Removed(0, a.seqs()...)
	},
	"lose": func(w *world, a args) { // deleted, and the consumer was not told yet
		for _, seq := range a.seqs() {
			w.src.remove(seq)
		}
	},
	"trim": func(w *world, a args) {
		w.src.removeBelow(a.seqs()[0])
		w.c.Removed(a.seqs()[0])
		w.replica.Removed(a.seqs()[0])
	},
	"purge": func(w *world, a args) {
		w.src.removeBelow(a.seqs()[0])
		w.c.Purged(a.seqs()[0])
		w.replica.Removed(a.seqs()[0])
	},
	"cold": func(w *world, a args) {
		for _, seq := range a.seqs() {
			w.src.cold[seq] = true
		}
	},
	"load": func(w *world, a args) {
		for _, seq := range a.seqs() {
			delete(w.src.cold, seq)
		}
	},
	"at":      func(w *world, a args) { w.now = a.duration(a.plain[0]) },
	"bound":   func(w *world, _ args) { w.c.Bound(true, w.time()) },
	"unbound": func(w *world, _ args) { w.c.Bound(false, w.time()) },
	"flow": func(w *world, a args) {
		w.c.FlowAnswered(a.seqs()[0], w.time())
	},
	"unpin": func(w *world, a args) { w.c.Unpin(a.plain[0], w.time()) },
	"reset": func(w *world, a args) {
		w.printf("reset to %d", w.c.Reset(uint64(a.num("seq", 0)), w.time()))
		w.c.Replay(w.src.last)
	},
	"deaf": func(w *world, a args) { w.deaf[a.plain[0]] = true },
	"pull": func(w *world, a args) {
		w.c.Request(Request{
			Reply: a.plain[0], Batch: a.num("batch", 1), MaxBytes: a.num("max_bytes", 0), NoWait: a.has("no_wait"),
			Expires: a.dur("expires"), Heartbeat: a.dur("heartbeat"), Group: a.named["group"], ID: a.named["id"],
			MinPending: int64(a.num("min_pending", 0)), MinAckPending: int64(a.num("min_ack_pending", 0)), Priority: a.num("priority", 0),
		}, w.time())
	},
	"ack":  func(w *world, a args) { w.ack(a, Acked) },
	"nak":  func(w *world, a args) { w.ack(a, Nak) },
	"wpi":  func(w *world, a args) { w.ack(a, Progress) },
	"term": func(w *world, a args) { w.ack(a, Term) },
	"step": func(w *world, a args) {
		w.step.Limit = a.num("limit", 0)
		w.c.Step(w.time(), &w.src, func(r string) bool { return !w.deaf[r] }, &w.step)
		w.show()
	},
	"sweep": func(w *world, _ args) {
		w.c.Sweep(w.time(), func(r string) bool { return !w.deaf[r] })
	},
	"close": func(w *world, a args) {
		w.c.Close(map[string]Ending{"deleted": EndDeleted, "shutdown": EndShutdown, "leadership": EndLeadership}[a.plain[0]], &w.step)
		w.show()
	},
	"info": func(w *world, _ args) {
		in := w.c.Info()
		w.printf("delivered %d/%d floor %d/%d ack_pending %d redelivered %d waiting %d pending %d", in.Delivered.Consumer, in.Delivered.Stream,
			in.Floor.Consumer, in.Floor.Stream, in.AckPending, in.Redelivered, in.Waiting, w.src.Count(w.c.Next()))
		if in.Pin.ID != "" {
			w.printf("pinned %s %s since %v", in.Pin.Group, in.Pin.ID, time.Duration(in.Pin.Since-epoch))
		}
	},
	"deadline": func(w *world, _ args) {
		switch at := w.c.Deadline(); {
		case at == 0:
			w.printf("deadline never")
		case at <= w.time():
			w.printf("deadline now")
		default:
			w.printf("deadline %v", time.Duration(at-epoch))
		}
	},
}

func (w *world) ack(a args, kind AckKind) {
	for _, seq := range a.seqs() {
		d := w.seen[seq]
		r := w.c.Ack(Ack{
			Kind: kind, Seq: seq, DSeq: uint64(a.num("dseq", int(d.DSeq))), Delivered: d.Delivered,
			Delay: a.dur("delay"), Reason: a.named["reason"],
		}, w.time())
		w.printf("%d changed=%v reply=%v", seq, r.Changed, r.Reply)
	}
}

// show prints what a Step gave, and lets the replica follow.
func (w *world) show() {
	o := &w.step
	status := 0
	statuses := func(upto int) {
		for ; status < len(o.Statuses) && o.Statuses[status].After <= upto; status++ {
			s := &o.Statuses[status]
			line := fmt.Sprintf("status %s %d %s", s.Reply, s.Code, s.Text)
			if s.Remains {
				line += fmt.Sprintf(" msgs=%d bytes=%d", s.PendingMsgs, s.PendingBytes)
			}
			if s.Code == 100 {
				line += fmt.Sprintf(" last=%d/%d", s.LastConsumer, s.LastStream)
			}
			if s.Flow > 0 {
				line += fmt.Sprintf(" flow=%d", s.Flow)
			}
			w.printf("%s", line)
		}
	}
	for i, d := range o.Deliveries {
		statuses(i)
		pin := ""
		if d.Pin != "" {
			pin = " pin=" + d.Pin
		}
		w.printf("deliver %s seq=%d dseq=%d delivered=%d pending=%d%s", d.Reply, d.Seq, d.DSeq, d.Delivered, d.Pending, pin)
		w.seen[d.Seq] = d
	}
	statuses(len(o.Deliveries))
	for _, a := range o.Advisories {
		line := "advise " + []string{"max_deliver", "nak", "term", "acked", "pinned", "unpinned", "resumed"}[a.Kind]
		if a.Seq > 0 {
			line += fmt.Sprintf(" seq=%d dseq=%d delivered=%d", a.Seq, a.DSeq, a.Delivered)
		}
		if a.Kind == AdvisoryAcked {
			line += fmt.Sprintf(" took=%v", time.Duration(a.Took))
		}
		if a.Group != "" {
			line += " group=" + a.Group
		}
		if a.Pin != "" {
			line += " pin=" + a.Pin
		}
		if a.Reason != "" {
			line += " " + a.Reason
		}
		w.printf("%s", line)
	}
	if o.Cold > 0 {
		w.printf("cold %d", o.Cold)
	}
	if o.More {
		w.printf("more")
	}
	if o.Inactive {
		w.printf("inactive")
	}
	w.follow()
}

func (w *world) follow() {
	if len(w.step.Changes) == 0 {
		return
	}
	w.acked = w.acked[:0]
	if err := w.replica.Apply(w.step.Changes, func(seq uint64) { w.acked = append(w.acked, seq) }); err != nil {
		w.t.Fatal(err)
	}
	if len(w.acked) > 0 {
		w.printf("done %v", w.acked)
	}
	if err := w.replica.Apply(w.step.Changes, func(seq uint64) { w.t.Fatalf("%d is acknowledged twice", seq) }); err != nil {
		w.t.Fatal(err)
	}
	sameState(w.t, "live and replica", w.c.State(), w.replica.State())
}
