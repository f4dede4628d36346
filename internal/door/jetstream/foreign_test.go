package jetstream

import (
	"bytes"
	"encoding/json"
	"testing"
	"time"

	"github.com/weirmq/weir/internal/backup"
	"github.com/weirmq/weir/internal/record"
	"github.com/weirmq/weir/internal/stream/streamtest"
)

// foreignBackup is a backup of records that another server stored.
func foreignBackup(t *testing.T, records ...record.View) []byte {
	t.Helper()
	return foreignBackupTo(t, 0, records...)
}

// foreignBackupTo is one of a log that has come to a sequence, whatever its last record.
func foreignBackupTo(t *testing.T, last uint64, records ...record.View) []byte {
	t.Helper()
	h := &backup.Head{Stream: []byte(`{}`), Foreign: true, First: records[0].Seq, Records: uint64(len(records))}
	for i := range records {
		h.Bytes += records[i].Size()
		h.Last, h.LastTime = records[i].Seq, records[i].Time
	}
	h.Last = max(h.Last, last)
	var b bytes.Buffer
	w, err := backup.NewWriter(&b, h)
	for i := range records {
		if err == nil {
			err = w.Record(&records[i])
		}
	}
	if err == nil {
		err = w.Close()
	}
	if err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func TestWhatFollowsFromHeadersIsDerivedForRecordsOfAnotherServer(t *testing.T) {
	r := newRig(t)
	now := time.Now().UnixNano()
	b := foreignBackup(t,
		record.View{Seq: 7, Time: now - int64(time.Hour), Subject: []byte("s.old"), Header: header("Nats-Msg-Id", "old", "Nats-Rollup", "all"), Data: []byte("1")},
		record.View{Seq: 8, Time: now, Subject: []byte("s.ttl"), Header: header("Nats-TTL", "1"), Data: []byte("2")},
		record.View{Seq: 10, Time: now, Subject: []byte("s.new"), Header: header("Nats-Msg-Id", "new", "Nats-Rollup", "all"), Data: []byte("3")},
	)
	config := json.RawMessage(streamConfig("S", "s.>", `"allow_msg_ttl":true`, `"allow_rollup_hdrs":true`))
	if a := r.upload("S", config, b, 64); a.Error != nil {
		t.Fatalf("%+v", a.Error)
	}
	if a := r.publish("s.new", "again", "Nats-Msg-Id", "new"); !a.Duplicate || a.Seq != 10 {
		t.Errorf("an id within the window gives %+v", a)
	}
	r.stored(11, "s.old", "an id that the window has passed", "Nats-Msg-Id", "old")
	// What a rollup replaced is not there; what came with it is.
	streamtest.Await(t, "the time to live has ended", func() bool { return r.ok("STREAM.INFO.S", "").State.Messages == 3 })
	if a := r.ok("STREAM.MSG.GET.S", `{"seq":7}`); string(a.Message.Data) != "1" {
		t.Errorf("message 7 is %q", a.Message.Data)
	}
}

// TestAConsumerComesToTheEndOfALogWhoseLastRecordsAreGone restores one: its consumer waits
// for what comes, and holds up nobody.
func TestAConsumerComesToTheEndOfALogWhoseLastRecordsAreGone(t *testing.T) {
	r := newRig(t)
	b := foreignBackupTo(t, 5, record.View{Seq: 2, Time: time.Now().UnixNano(), Subject: []byte("s.a"), Data: []byte("2")})
	if a := r.upload("S", json.RawMessage(streamConfig("S", "s.>")), b, 64); a.Error != nil {
		t.Fatalf("%+v", a.Error)
	}
	r.consumer("S", "c")
	for _, want := range []string{"2", "6"} {
		if got := r.fetch("S", "c", 10); len(got) != 1 || string(got[0].Data) != want {
			t.Fatalf("%v, want %s", got, want)
		}
		if want == "2" {
			r.stored(6, "s.a", "6")
		}
	}
	r.ok("CONSUMER.INFO.S.c", "")
}
