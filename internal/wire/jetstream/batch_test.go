package jetstream

import (
	"strings"
	"testing"
)

func TestThePlaceInAnAtomicBatchIsRead(t *testing.T) {
	for _, c := range []struct {
		lines         string
		seq           uint64
		commit, end   bool
		refuse, fatal int
	}{
		{"Nats-Batch-Id: b\r\nNats-Batch-Sequence: 3", 3, false, false, 0, 0},
		{"Nats-Batch-Id: b\r\nNats-Batch-Sequence: 3\r\nNats-Batch-Commit: 1", 3, true, false, 0, 0},
		{"Nats-Batch-Id: b\r\nNats-Batch-Sequence: 3\r\nNats-Batch-Commit: eob", 3, true, true, 0, 0},
		{"Nats-Batch-Id: b\r\nNats-Batch-Sequence: 1\r\nNats-Batch-Commit: eob", 1, true, true, 0, 0},
		{"Nats-Batch-Id: b\r\nNats-Batch-Sequence: 3\r\nNats-Batch-Commit: 2", 3, true, false, 0, CodeAtomicInvalidCommit},
		{"Nats-Batch-Id: b", 0, false, false, CodeAtomicMissingSeq, 0},
		{"Nats-Batch-Id: b\r\nNats-Batch-Sequence: x", 0, false, false, CodeAtomicMissingSeq, 0},
		{"Nats-Batch-Id: b\r\nNats-Batch-Sequence: 0", 0, false, false, 0, 0},
		{"Nats-Batch-Id: " + strings.Repeat("b", 65), 0, false, false, CodeAtomicInvalidID, 0},
		{"Nats-Batch-Id: b\r\nNats-Batch-Sequence: 1\r\nNats-Required-Api-Level: 99", 1, false, false, 0, CodeRequiredAPILevel},
		{"Nats-Batch-Id: b\r\nNats-Batch-Sequence: 1\r\nNats-Required-Api-Level: 1", 1, false, false, 0, 0},
	} {
		b := block(c.lines)
		h := ParsePublishHeader(b)
		p, ok, refuse, fatal := h.Batch()
		if !ok || !MayBatch(b) || p.Seq != c.seq || p.Commit != c.commit || p.End != c.end || (refuse != nil) != (c.refuse != 0) || (fatal != nil) != (c.fatal != 0) ||
			refuse != nil && !refuse.Has(c.refuse) || fatal != nil && !fatal.Has(c.fatal) {
			t.Errorf("%s: %+v, %v, %v", c.lines, p, refuse, fatal)
		}
	}
	h := ParsePublishHeader(block("Nats-Batch-Sequence: 1", "Nats-Batch-Commit: 1"))
	if _, ok, _, _ := h.Batch(); ok || MayBatch(block("Nats-Batch-Sequence: 1")) {
		t.Error("a message without an id is of a batch")
	}
}

func TestTheStoredHeadersOfABatch(t *testing.T) {
	if got := WithoutAPILevel(block("A: b", "Nats-Required-Api-Level: 1", "C: d")); string(got) != string(block("A: b", "C: d")) {
		t.Errorf("%q", got)
	}
	if got := WithCommit(block("Nats-Batch-Id: b")); string(got) != string(block("Nats-Batch-Id: b", "Nats-Batch-Commit: 1")) {
		t.Errorf("%q", got)
	}
}

func TestThePlaceInAFastBatchIsRead(t *testing.T) {
	for reply, want := range map[string]FastPart{
		"_I.x.id.10.ok.1.0.$FI":       {ID: []byte("id"), Seq: 1, Op: FastStart, Flow: 10},
		"_I.id.0.fail.2.1.$FI":        {ID: []byte("id"), Seq: 2, Op: FastAppend, Flow: 10, Strict: true},
		"_I.id.-5.fail.1.2.$FI":       {ID: []byte("id"), Seq: 1, Op: FastCommit, Flow: 10, Strict: true},
		"_I.id.99999999.fail.7.3.$FI": {ID: []byte("id"), Seq: 7, Op: FastEnd, Flow: 65535, Strict: true},
		"_I.id.1.ok.7.4.$FI":          {ID: []byte("id"), Seq: 7, Op: FastPing, Flow: 1},
	} {
		p, err := ParseFast([]byte(reply))
		if err != nil || !IsFast([]byte(reply)) || string(p.ID) != string(want.ID) || p.Seq != want.Seq || p.Op != want.Op || p.Flow != want.Flow || p.Strict != want.Strict {
			t.Errorf("%s: %+v, %v", reply, p, err)
		}
	}
	for _, reply := range []string{
		"x.$FI", "id.10.ok.1.0.$FI", "_I.id.10.ok.2.0.$FI", "_I.id.10.ok.1.1.$FI", "_I.id.10.ok.1.3.$FI", "_I.id.10.ok.1.5.$FI",
		"_I.id.10.maybe.1.0.$FI", "_I.id.x.ok.1.0.$FI", "_I.id.10.ok.x.0.$FI", "_I.id.10.ok.1.00.$FI", "_I..10.ok.1.0.$FI",
		"_I.id.10.ok.0.1.$FI", ".id.10.ok.1..$FI",
	} {
		if p, err := ParseFast([]byte(reply)); !err.Has(CodeFastInvalidPattern) {
			t.Errorf("%s: %+v, %v", reply, p, err)
		}
	}
	if IsFast([]byte("_INBOX.x")) || IsFast([]byte(".$FI")) || IsFast(nil) {
		t.Error("an ordinary reply is of a fast batch")
	}
}

func FuzzParseFast(f *testing.F) {
	f.Add([]byte("_I.x.id.10.ok.1.0.$FI"))
	f.Add([]byte(".....$FI"))
	f.Fuzz(func(t *testing.T, b []byte) {
		p, err := ParseFast(b)
		if err == nil && (len(p.ID) == 0 || p.Flow < 1 || p.Flow > maxFlow || p.Op > FastPing || p.Seq == 0) {
			t.Fatalf("%q: %+v", b, p)
		}
	})
}
