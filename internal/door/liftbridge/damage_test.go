package liftbridge

import (
	"fmt"
	"path"
	"strings"
	"testing"

	"github.com/weirmq/weir/internal/wire/liftbridge/pb"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// flip damages the last segment of each stream's files that is as long as this.
func (r *rig) flip(atLeast int64) (flipped int) {
	r.t.Helper()
	dirs, err := r.FS.List("data/streams")
	if err != nil {
		r.t.Fatal(err)
	}
	for _, dir := range dirs {
		files, err := r.FS.List(path.Join("data/streams", dir))
		if err != nil {
			r.t.Fatal(err)
		}
		for _, f := range files {
			name := path.Join("data/streams", dir, f)
			info, err := r.FS.Stat(name)
			if err != nil || !strings.HasSuffix(f, ".seg") || info.Size < atLeast {
				continue
			}
			if err := r.FS.Corrupt(name, info.Size/2, 1); err != nil {
				r.t.Fatal(err)
			}
			flipped++
			break
		}
	}
	return flipped
}

// TestADamagedMessageIsToldAndNeverServed has a bit of a segment flip. Who reads there is
// told so, and what is damaged; all else is served.
func TestADamagedMessageIsToldAndNeverServed(t *testing.T) {
	r := newRig(t)
	r.create("s", 1)
	r.create("whole", 1)
	const messages = 60
	var want []string
	for i := range messages {
		want = append(want, fmt.Sprint(i, strings.Repeat("x", 500)))
	}
	r.put("s", 0, want...)
	r.put("whole", 0, "fine")
	r = r.restart()
	if r.flip(20_000) == 0 {
		t.Fatal("nothing was flipped")
	}
	req := &pb.SubscribeRequest{Stream: "s", StartPosition: pb.StartPosition_EARLIEST, StopPosition: pb.StopPosition_STOP_LATEST}
	got, err := r.subscribe(req)
	if status.Code(err) != codes.DataLoss || !strings.Contains(err.Error(), fmt.Sprintf("before offset %d", len(got)+1)) {
		t.Fatalf("%d messages, then %v", len(got), err)
	}
	for i, m := range got {
		if string(m.Value) != want[i] {
			t.Fatalf("message %d is another one", i)
		}
	}
	req.StartPosition, req.StartOffset = pb.StartPosition_OFFSET, messages-2
	if got, err = r.subscribe(req); status.Code(err) != codes.ResourceExhausted || len(got) != 2 || string(got[1].Value) != want[messages-1] {
		t.Errorf("behind the damage: %d messages, %v", len(got), err)
	}
	r.want("whole", 0, "fine")
	if ack := r.put("s", 0, "goes on")[0]; ack.Offset != messages {
		t.Error(ack)
	}
}

// TestTheMetadataNamesServersThatAreThere goes through what changes a partition: its leader,
// its replicas and those in sync are always the one server that the answer lists.
func TestTheMetadataNamesServersThatAreThere(t *testing.T) {
	r := newRig(t)
	r.create("s", 3, func(req *pb.CreateStreamRequest) { req.ReplicationFactor = -1 })
	look := func(when string) {
		t.Helper()
		m, err := r.FetchMetadata(r.ctx(), &pb.FetchMetadataRequest{})
		if err != nil || len(m.Brokers) != 1 {
			t.Fatal(when, m, err)
		}
		id := m.Brokers[0].Id
		for _, s := range m.StreamMetadata {
			for n, p := range s.Partitions {
				if p.Id != n || p.Leader != id || len(p.Replicas) != 1 || p.Replicas[0] != id || len(p.Isr) != 1 || p.Isr[0] != id {
					t.Errorf("%s: %s: %v", when, s.Name, p)
				}
				if p.HighWatermark != p.NewestOffset {
					t.Errorf("%s: %s: what is stored is not all committed: %v", when, s.Name, p)
				}
			}
		}
	}
	look("at first")
	r.put("s", 1, "x")
	if _, err := r.PauseStream(r.ctx(), &pb.PauseStreamRequest{Name: "s"}); err != nil {
		t.Fatal(err)
	}
	look("paused")
	r.put("s", 1, "y")
	look("resumed")
	r = r.crash(1)
	look("after a crash")
	r.want("s", 1, "x", "y")
}
