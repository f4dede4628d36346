package liftbridge

import (
	"bytes"
	"slices"
	"testing"
	"time"

	"github.com/weirmq/weir/internal/broker"
	"github.com/weirmq/weir/internal/wire/liftbridge/pb"
	"google.golang.org/protobuf/proto"
)

// metadata describes a stream.
func (r *rig) metadata(name string) *pb.StreamMetadata {
	r.t.Helper()
	m, err := r.FetchMetadata(r.ctx(), &pb.FetchMetadataRequest{Streams: []string{name}})
	if err != nil || m.StreamMetadata[0].Error != pb.StreamMetadata_OK {
		r.t.Fatal(m, err)
	}
	return m.StreamMetadata[0]
}

// TestOffsetsCountFromZeroAndNoneIsMinusOne, in metadata, acks and cursors.
func TestOffsetsCountFromZeroAndNoneIsMinusOne(t *testing.T) {
	r := newRig(t)
	before := time.Now().UnixNano()
	r.create("s", 2)
	r.create("occ", 1, func(req *pb.CreateStreamRequest) { req.OptimisticConcurrencyControl = &pb.NullableBool{Value: true} })
	m := r.metadata("s")
	if m.CreationTimestamp < before || m.CreationTimestamp > time.Now().UnixNano() || m.Subject != "s" || len(m.Partitions) != 2 {
		t.Error(m)
	}
	for _, p := range m.Partitions {
		if p.HighWatermark != -1 || p.NewestOffset != -1 {
			t.Error(p)
		}
		for _, times := range []*pb.PartitionEventTimestamps{p.MessagesReceivedTimestamps, p.PauseTimestamps, p.ReadonlyTimestamps} {
			if times == nil || times.FirstTimestamp != 0 || times.LatestTimestamp != 0 {
				t.Error(times, " of what never was")
			}
		}
	}
	acks := r.put("s", 1, "0", "1")
	if acks[0].Offset != 0 || acks[1].Offset != 1 {
		t.Error(acks)
	}
	m = r.metadata("s")
	received := m.Partitions[1].MessagesReceivedTimestamps
	if p := m.Partitions[1]; p.HighWatermark != 1 || p.NewestOffset != 1 || received.FirstTimestamp != acks[0].ReceptionTimestamp || received.LatestTimestamp != acks[1].ReceptionTimestamp {
		t.Error(p)
	}
	if m.Partitions[0].NewestOffset != -1 {
		t.Error(m.Partitions[0])
	}
	c, err := r.FetchCursor(r.ctx(), &pb.FetchCursorRequest{Stream: "s", CursorId: "never"})
	if err != nil || c.Offset != -1 {
		t.Error(c, err)
	}
	for i, expected := range []int64{0, 1, -1, 3} {
		resp, err := r.Publish(r.ctx(), &pb.PublishRequest{Stream: "occ", ExpectedOffset: expected})
		if err != nil || resp.Ack.Offset != int64(i) {
			t.Error(expected, resp, err)
		}
	}
}

// TestAnAckNamesTheStreamsSubjectAndThatOfTheMessage, and says when it was stored and told.
func TestAnAckNamesTheStreamsSubjectAndThatOfTheMessage(t *testing.T) {
	r := newRig(t)
	r.create("s", 2, func(req *pb.CreateStreamRequest) { req.Subject = "base" })
	before := time.Now().UnixNano()
	req := &pb.PublishRequest{Stream: "s", Partition: 1, CorrelationId: "c", AckInbox: "inbox", AckPolicy: pb.AckPolicy_ALL}
	resp, err := r.Publish(r.ctx(), req)
	if err != nil {
		t.Fatal(err)
	}
	a := resp.Ack
	if a.Stream != "s" || a.PartitionSubject != "base" || a.MsgSubject != "base.1" || a.AckInbox != "inbox" || a.CorrelationId != "c" || a.AckPolicy != pb.AckPolicy_ALL {
		t.Error(a)
	}
	if a.ReceptionTimestamp < before || a.CommitTimestamp < a.ReceptionTimestamp || a.CommitTimestamp > time.Now().UnixNano() {
		t.Error(a)
	}
	if m := r.read("s", 1)[0]; m.Timestamp != a.ReceptionTimestamp || m.AckInbox != "" || m.CorrelationId != "" || m.AckPolicy != 0 {
		t.Error(m)
	}
}

// TestARefusalByAnAckSaysWhenTheMessageCame, too.
func TestARefusalByAnAckSaysWhenTheMessageCame(t *testing.T) {
	r := newRig(t)
	r.create("occ", 1, func(req *pb.CreateStreamRequest) { req.OptimisticConcurrencyControl = &pb.NullableBool{Value: true} })
	r.put("occ", 0, "there is one")
	for size, why := range map[int]pb.Ack_Error{1: pb.Ack_INCORRECT_OFFSET, 1 << 20: pb.Ack_TOO_LARGE} {
		before := time.Now().UnixNano()
		resp, err := r.PublishToSubject(r.ctx(), &pb.PublishToSubjectRequest{Subject: "occ", Value: make([]byte, size)})
		if err != nil {
			t.Fatal(err)
		}
		if a := resp.Ack; a.AckError != why || a.Offset != 0 || a.ReceptionTimestamp < before || why == pb.Ack_TOO_LARGE != (a.CommitTimestamp == 0) {
			t.Errorf("%d bytes: %v", size, a)
		}
	}
}

// TestAnEnvelopeSaysWhereItsMessageGoes to who listens on the subject: from a stream's name
// nobody else would know it.
func TestAnEnvelopeSaysWhereItsMessageGoes(t *testing.T) {
	r := newRig(t)
	r.create("s", 2, func(req *pb.CreateStreamRequest) { req.Subject = "base" })
	in := r.listen(">")
	next := func(stream, subject string) {
		t.Helper()
		for {
			m := in.next(t)
			if string(m.Subject) != subject {
				continue // an ack
			}
			var got pb.Message
			if err := proto.Unmarshal(m.Data[8:], &got); err != nil || got.Stream != stream || got.Subject != subject || string(got.Value) != "x" {
				t.Error(&got, err)
			}
			return
		}
	}
	r.put("s", 1, "x")
	next("s", "base.1")
	exchange(t, r.async(), &pb.PublishRequest{Stream: "s", Value: []byte("x")})
	next("s", "base")
	if _, err := r.PublishToSubject(r.ctx(), &pb.PublishToSubjectRequest{Subject: "base.1", Value: []byte("x")}); err != nil {
		t.Fatal(err)
	}
	next("", "base.1")
}

// TestPartitionsTakeTheirSubjectsAndTellThemInHeaders, over those of a publisher.
func TestPartitionsTakeTheirSubjectsAndTellThemInHeaders(t *testing.T) {
	r := newRig(t)
	r.create("s", 3)
	for n, subject := range []string{"s", "s.1", "s.2"} {
		r.space.Publish(&broker.Message{Subject: []byte(subject), Reply: []byte("answer"), Data: []byte(subject)})
		_, err := r.Publish(r.ctx(), &pb.PublishRequest{
			Stream: "s", Partition: int32(n), Headers: map[string][]byte{"subject": []byte("mine"), "reply": []byte("mine"), "other": []byte("mine")},
		})
		if err != nil {
			t.Fatal(err)
		}
		got := r.read("s", int32(n))
		if len(got) != 2 {
			t.Fatalf("partition %d: %v", n, got)
		}
		for i, reply := range []string{"answer", ""} {
			m := got[i]
			value, ok := m.Headers["reply"]
			if m.Subject != subject || m.ReplySubject != reply || string(m.Headers["subject"]) != subject || !ok || string(value) != reply {
				t.Errorf("partition %d: %v", n, m)
			}
		}
		if !bytes.Equal(got[1].Headers["other"], []byte("mine")) {
			t.Error(got[1])
		}
	}
}

// TestDurationsOfStreamsAreMilliseconds, while groups tell nanoseconds.
func TestDurationsOfStreamsAreMilliseconds(t *testing.T) {
	r := newRig(t)
	r.create("s", 1, func(req *pb.CreateStreamRequest) {
		req.RetentionMaxAge = &pb.NullableInt64{Value: 60_000}
		req.AutoPauseTime = &pb.NullableInt64{Value: 120_000}
	})
	s := r.Streams.Find("A", "s")
	if age, pause := s.Config().Limits.MaxAge, setOf(s).AutoPause; age != int64(time.Minute) || pause != 2*time.Minute {
		t.Error(time.Duration(age), pause)
	}
	g, err := r.JoinConsumerGroup(r.ctx(), &pb.JoinConsumerGroupRequest{GroupId: "g", ConsumerId: "c", Streams: []string{"s"}})
	if err != nil || time.Duration(g.ConsumerTimeout) != r.o.ConsumerTimeout || time.Duration(g.CoordinatorTimeout) != r.o.CoordinatorTimeout {
		t.Error(g, err)
	}
}

// TestPausesAndReadonlyFlagsKeepTheirTimesThroughACrash, and a partition that is resumed is
// not paused.
func TestPausesAndReadonlyFlagsKeepTheirTimesThroughACrash(t *testing.T) {
	r := newRig(t)
	r.create("s", 2)
	if _, err := r.PauseStream(r.ctx(), &pb.PauseStreamRequest{Name: "s"}); err != nil {
		t.Fatal(err)
	}
	r.put("s", 0, "x")
	if _, err := r.SetStreamReadonly(r.ctx(), &pb.SetStreamReadonlyRequest{Name: "s", Readonly: true}); err != nil {
		t.Fatal(err)
	}
	was := r.metadata("s")
	if p := was.Partitions; p[0].Paused || !p[1].Paused || !p[0].Readonly || !p[1].Readonly {
		t.Error(was)
	}
	for n, p := range was.Partitions {
		pause, readonly := p.PauseTimestamps, p.ReadonlyTimestamps
		if (pause.FirstTimestamp == pause.LatestTimestamp) != (n == 1) || readonly.FirstTimestamp == 0 || readonly.FirstTimestamp != readonly.LatestTimestamp {
			t.Error(p)
		}
	}
	r = r.crash(1)
	if is := r.metadata("s"); !proto.Equal(is, was) {
		t.Errorf("%v\nwas %v", is, was)
	}
}

// TestTheActivityStreamBeginsWithTheServersOwnStreams, and a resumption tells its partition
// alone.
func TestTheActivityStreamBeginsWithTheServersOwnStreams(t *testing.T) {
	r := newRig(t)
	r.create("s", 3)
	if _, err := r.PauseStream(r.ctx(), &pb.PauseStreamRequest{Name: "s"}); err != nil {
		t.Fatal(err)
	}
	if _, err := r.subscribe(&pb.SubscribeRequest{Stream: "s", Partition: 2, Resume: true, StopPosition: pb.StopPosition_STOP_LATEST}); err == nil {
		t.Fatal("there is something to read")
	}
	want := []string{"CREATE_STREAM __activity", "CREATE_STREAM __cursors", "CREATE_STREAM s", "PAUSE_STREAM s", "RESUME_STREAM s"}
	if got := r.events(); !slices.Equal(got, want) {
		t.Fatal(got)
	}
	var e pb.ActivityStreamEvent
	all := r.read(activityStream, 0)
	for i, partitions := range [][]int32{{0, 1, 2}, {0, 1, 2}, {2}} {
		m := all[2+i]
		if err := proto.Unmarshal(m.Value, &e); err != nil {
			t.Fatal(err)
		}
		got := slices.Concat(e.CreateStreamOp.GetPartitions(), e.PauseStreamOp.GetPartitions(), e.ResumeStreamOp.GetPartitions())
		if !slices.Equal(got, partitions) || len(m.Key) > 0 {
			t.Error(&e)
		}
	}
}

// TestTheServerCountsThePartitionsThatItLeads: those that are paused are not among them.
func TestTheServerCountsThePartitionsThatItLeads(t *testing.T) {
	r := newRig(t)
	counted := func() int32 {
		t.Helper()
		m, err := r.FetchMetadata(r.ctx(), &pb.FetchMetadataRequest{})
		if err != nil || len(m.Brokers) != 1 || m.Brokers[0].PartitionCount != m.Brokers[0].LeaderCount {
			t.Fatal(m, err)
		}
		return m.Brokers[0].PartitionCount
	}
	own := counted()
	r.create("s", 3)
	if n := counted(); n != own+3 {
		t.Errorf("%d, not %d", n, own+3)
	}
	if _, err := r.PauseStream(r.ctx(), &pb.PauseStreamRequest{Name: "s", Partitions: []int32{0, 2}}); err != nil {
		t.Fatal(err)
	}
	if n := counted(); n != own+1 {
		t.Errorf("%d, not %d", n, own+1)
	}
	r.put("s", 2, "x")
	if n := counted(); n != own+2 {
		t.Errorf("%d, not %d", n, own+2)
	}
}

// TestTheEndOfAReadonlyFlagMovesItsLatestTimeOnly.
func TestTheEndOfAReadonlyFlagMovesItsLatestTimeOnly(t *testing.T) {
	r := newRig(t)
	r.create("s", 2)
	set := func(readonly bool) (first, latest int64) {
		t.Helper()
		if _, err := r.SetStreamReadonly(r.ctx(), &pb.SetStreamReadonlyRequest{Name: "s", Partitions: []int32{1}, Readonly: readonly}); err != nil {
			t.Fatal(err)
		}
		m := r.metadata("s")
		if p := m.Partitions[0]; p.Readonly || p.ReadonlyTimestamps.LatestTimestamp != 0 {
			t.Error(p)
		}
		if m.Partitions[1].Readonly != readonly {
			t.Error(m)
		}
		times := m.Partitions[1].ReadonlyTimestamps
		return times.FirstTimestamp, times.LatestTimestamp
	}
	first, latest := set(true)
	if first == 0 || first != latest {
		t.Error(first, latest)
	}
	if again, later := set(false); again != first || later <= latest {
		t.Error(first, again, latest, later)
	}
	r.put("s", 1, "x")
}
