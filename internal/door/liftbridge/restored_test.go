package liftbridge

import (
	"bytes"
	"encoding/json"
	"fmt"
	"testing"

	"github.com/weirmq/weir/internal/backup"
	"github.com/weirmq/weir/internal/record"
	"github.com/weirmq/weir/internal/stream/streamtest"
	jswire "github.com/weirmq/weir/internal/wire/jetstream"
	wire "github.com/weirmq/weir/internal/wire/liftbridge"
	"github.com/weirmq/weir/internal/wire/liftbridge/pb"
	"google.golang.org/grpc/codes"
)

// configOf is a stream's configuration as JetStream tells it.
func (r *rig) configOf(name string) json.RawMessage {
	r.t.Helper()
	var info struct {
		Error  any
		Config json.RawMessage
	}
	if r.request("STREAM.INFO."+name, nil, &info); info.Error != nil {
		r.t.Fatal(name, info.Error)
	}
	return info.Config
}

// restore makes a stream of a backup with one record; it gives the error's text.
func (r *rig) restore(name string, config json.RawMessage, v record.View) string {
	r.t.Helper()
	return r.restoreUpTo(name, config, v, v.Seq)
}

// restoreUpTo is restore for a stream whose last records, up to one, are not there any more.
func (r *rig) restoreUpTo(name string, config json.RawMessage, v record.View, last uint64) string {
	r.t.Helper()
	var b bytes.Buffer
	w, err := backup.NewWriter(&b, &backup.Head{
		Stream: []byte(`{}`), Foreign: true, First: v.Seq, Last: last, LastTime: v.Time, Records: 1, Bytes: v.Size(),
	})
	if err == nil {
		err = w.Record(&v)
	}
	if err == nil {
		err = w.Close()
	}
	if err != nil {
		r.t.Fatal(err)
	}
	var a struct {
		To    string        `json:"deliver_subject"`
		Error *jswire.Error `json:"error"`
	}
	ask := func(subject string, body []byte) string {
		m := streamtest.Request(r.t, r.space, subject, nil, body)
		a.Error = nil
		if len(m.Data) > 0 {
			if err := json.Unmarshal(m.Data, &a); err != nil {
				r.t.Fatalf("%v: %s", err, m.Data)
			}
		}
		if a.Error != nil {
			return a.Error.Description
		}
		return ""
	}
	if text := ask("$JS.API.STREAM.RESTORE."+name, fmt.Appendf(nil, `{"config":%s,"state":{}}`, config)); text != "" {
		return text
	}
	to := a.To
	if text := ask(to, b.Bytes()); text != "" {
		return text
	}
	return ask(to, nil)
}

// deletes asks JetStream to delete a stream, and says whether it should.
func (r *rig) deletes(name string, want bool) {
	r.t.Helper()
	var a struct{ Success bool }
	if r.request("STREAM.DELETE."+name, nil, &a); a.Success != want {
		r.t.Errorf("%s is deleted: %v", name, a.Success)
	}
}

// TestABackupOfALiftbridgeStreamIsOneAgain restores both partitions of a stream, the
// first one last: offsets, keys, headers and the queue group are as they were, and what
// is published goes on behind.
func TestABackupOfALiftbridgeStreamIsOneAgain(t *testing.T) {
	r := newRig(t)
	_, err := r.CreateStream(r.ctx(), &pb.CreateStreamRequest{Name: "a.b", Subject: "in", Group: "g", Partitions: 2})
	if err != nil {
		t.Fatal(err)
	}
	configs := []json.RawMessage{r.configOf("a%2Eb:0"), r.configOf("a%2Eb:1")}
	if _, err := r.DeleteStream(r.ctx(), &pb.DeleteStreamRequest{Name: "a.b"}); err != nil {
		t.Fatal(err)
	}
	for n := 1; n >= 0; n-- {
		v := record.View{
			Seq: 41, Time: 1e18, Subject: []byte(wire.PartitionSubject("in", int32(n))), Reply: []byte("there"), Key: []byte{0, 1}, Data: []byte("v"),
			Header: wire.AppendHeaderBlock(nil, []byte{0, 1}, []wire.Header{{Name: []byte("h"), Value: []byte{0xff}}}),
		}
		if text := r.restore(fmt.Sprint("a%2Eb:", n), configs[n], v); text != "" {
			t.Fatal(text)
		}
		if n == 0 {
			continue
		}
		if r.door.find("A", "a.b") != nil {
			t.Error("half of a stream is there")
		}
		// It can be removed by itself, and restored again.
		r.deletes("a%2Eb:1", true)
		if text := r.restore("a%2Eb:1", configs[1], v); text != "" {
			t.Fatal(text)
		}
	}
	r.deletes("a%2Eb:1", false)
	r = r.restart()
	for n := range int32(2) {
		ack, err := r.Publish(r.ctx(), &pb.PublishRequest{Stream: "a.b", Partition: n, Value: []byte("next")})
		if err != nil || ack.Ack.GetOffset() != 41 {
			t.Fatalf("partition %d: %v, %v", n, ack, err)
		}
		in, err := r.Subscribe(r.ctx(), &pb.SubscribeRequest{Stream: "a.b", Partition: n, StartPosition: pb.StartPosition_EARLIEST})
		if err == nil {
			_, err = in.Recv() // that it begins
		}
		if err != nil {
			t.Fatal(err)
		}
		m, err := in.Recv()
		if err != nil || m.Offset != 40 || m.Timestamp != 1e18 || string(m.Key) != "\x00\x01" || string(m.Value) != "v" || string(m.Headers["h"]) != "\xff" || m.ReplySubject != "there" {
			t.Fatalf("%v, %v", m, err)
		}
		if m, err = in.Recv(); err != nil || string(m.Value) != "next" {
			t.Fatalf("%v, %v", m, err)
		}
	}
	f := r.door.find("A", "a.b")
	if f == nil || !f.native || f.group != "g" || len(f.parts) != 2 || f.subject != "in" {
		t.Fatalf("%+v", f)
	}
	// Under another name it is a stream of JetStream's, and nonsense is none at all.
	v := record.View{Seq: 1, Time: 1, Subject: []byte("x"), Data: []byte("v")}
	other := bytes.Replace(configs[0], []byte(`"a%2Eb:0"`), []byte(`"other"`), 1)
	if text := r.restore("other", other, v); text != "" {
		t.Fatal(text)
	}
	if n := setOf(r.Streams.Find("A", "other")); n != nil {
		t.Errorf("%+v", n)
	}
	bad := bytes.Replace(configs[0], []byte(`"weir.partitions":"2"`), []byte(`"weir.partitions":"x"`), 1)
	if text := r.restore("bad", bad, v); text == "" {
		t.Error("a number of partitions that is none is accepted")
	}
}

func TestASubscriptionEndsInAGapAtTheEnd(t *testing.T) {
	r := newRig(t)
	r.create("s", 1)
	config := r.configOf("s")
	r.deletes("s", true)
	v := record.View{Seq: 1, Time: 1e18, Subject: []byte("s"), Data: []byte("v")}
	if text := r.restoreUpTo("s", config, v, 10); text != "" {
		t.Fatal(text)
	}
	for _, stop := range []int64{0, 1, 5, 9} {
		got, err := r.subscribe(&pb.SubscribeRequest{Stream: "s", StartPosition: pb.StartPosition_EARLIEST, StopPosition: pb.StopPosition_STOP_OFFSET, StopOffset: stop})
		code(t, err, codes.ResourceExhausted, endOfSpan)
		if len(got) != 1 || string(got[0].Value) != "v" {
			t.Errorf("up to %d: %v", stop, got)
		}
	}
	got, err := r.subscribe(&pb.SubscribeRequest{Stream: "s", StartPosition: pb.StartPosition_EARLIEST, StopPosition: pb.StopPosition_STOP_LATEST})
	code(t, err, codes.ResourceExhausted, endOfSpan)
	if len(got) != 1 {
		t.Error(got)
	}
	in, err := r.Subscribe(r.ctx(), &pb.SubscribeRequest{Stream: "s", StartPosition: pb.StartPosition_EARLIEST})
	if err != nil {
		t.Fatal(err)
	}
	for range 2 { // that it begins, and the message
		if _, err := in.Recv(); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := r.SetStreamReadonly(r.ctx(), &pb.SetStreamReadonlyRequest{Name: "s", Readonly: true}); err != nil {
		t.Fatal(err)
	}
	_, err = in.Recv()
	code(t, err, codes.ResourceExhausted, endOfReadOnly)
}
