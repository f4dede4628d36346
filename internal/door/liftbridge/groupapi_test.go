package liftbridge

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/weirmq/weir/internal/broker"
	"github.com/weirmq/weir/internal/stream/streamtest"
	jswire "github.com/weirmq/weir/internal/wire/jetstream"
	"github.com/weirmq/weir/internal/wire/liftbridge/pb"
)

// groupAnswer is what any answer about groups may have.
type groupAnswer struct {
	Type            string
	Error           *struct{ Code, Err_code int }
	Epoch           uint64
	ConsumerTimeout time.Duration `json:"consumer_timeout"`
	Assignments     []jswire.GroupAssignment
	Members         []jswire.GroupMember
	Partitions      []jswire.GroupPartition
	Groups          []jswire.GroupSummary
	Cursors         []jswire.GroupCursor
	Total           int
	Success         bool
}

// group asks about consumer groups.
func (r *rig) group(request, body string) groupAnswer {
	r.t.Helper()
	m := streamtest.Request(r.t, r.space, jswire.GroupPrefix+request, nil, []byte(body))
	var a groupAnswer
	if err := json.Unmarshal(m.Data, &a); err != nil {
		r.t.Fatalf("%s: %v: %s", request, err, m.Data)
	}
	kind, _, _ := strings.Cut(request, ".")
	if want := "io.weir.api.v1.group_" + strings.ToLower(kind) + "_response"; a.Type != want {
		r.t.Fatalf("%s: type %s", request, a.Type)
	}
	return a
}

func (r *rig) groupOK(request, body string) groupAnswer {
	r.t.Helper()
	a := r.group(request, body)
	if a.Error != nil {
		r.t.Fatalf("%s %s: %+v", request, body, *a.Error)
	}
	return a
}

func (r *rig) groupRefused(code int, request, body string) {
	r.t.Helper()
	if a := r.group(request, body); a.Error == nil || a.Error.Err_code != code || a.Error.Code == 0 {
		r.t.Errorf("%s %s: %+v, want error %d", request, body, a.Error, code)
	}
}

// js makes a stream through JetStream and publishes messages to it, by key.
func (r *rig) js(name string, partitions, messages int) {
	r.t.Helper()
	var made struct{ Error any }
	r.request("STREAM.CREATE."+name, map[string]any{
		"name": name, "subjects": []string{name}, "metadata": map[string]string{"weir.partitions": fmt.Sprint(partitions)},
	}, &made)
	if made.Error != nil {
		r.t.Fatal(made.Error)
	}
	acks := r.listen("acks." + name)
	for i := range messages {
		header := fmt.Appendf(nil, "NATS/1.0\r\nWeir-Key: k%d\r\n\r\n", i)
		r.space.Publish(&broker.Message{Subject: []byte(name), Reply: []byte("acks." + name), Header: header, Data: fmt.Append(nil, i)})
		acks.next(r.t)
	}
}

func reads(a groupAnswer) (out []string) {
	for _, p := range a.Assignments {
		out = append(out, p.Name)
	}
	return out
}

func TestNATSClientsShareThePartitionsOfAStream(t *testing.T) {
	r := newRig(t)
	r.js("O", 4, 0)
	a := r.groupOK("JOIN.g", `{"consumer":"a","streams":["O"]}`)
	if got := reads(a); !slices.Equal(got, []string{"O:0", "O:1", "O:2", "O:3"}) || a.ConsumerTimeout != time.Minute {
		t.Fatal(got, a.ConsumerTimeout)
	}
	b := r.groupOK("JOIN.g", `{"consumer":"b","streams":["O"]}`)
	a = r.groupOK("ASSIGNMENTS.g", `{"consumer":"a"}`)
	if a.Epoch != b.Epoch || !slices.Equal(reads(a), []string{"O:0", "O:2"}) || !slices.Equal(reads(b), []string{"O:1", "O:3"}) {
		t.Fatal(reads(a), reads(b))
	}
	r.groupRefused(jswire.CodeGroupMember, "JOIN.g", `{"consumer":"a","streams":["O"]}`)
	r.groupOK("LEAVE.g", `{"consumer":"a"}`)
	r.groupRefused(jswire.CodeGroupNotMember, "ASSIGNMENTS.g", `{"consumer":"a"}`)
	if next := r.groupOK("ASSIGNMENTS.g", `{"consumer":"b"}`); len(next.Assignments) != 4 || next.Epoch <= b.Epoch {
		t.Fatal(next)
	}
	r = r.restart()
	if next := r.groupOK("ASSIGNMENTS.g", `{"consumer":"b"}`); len(next.Assignments) != 4 {
		t.Fatal("after a restart:", next)
	}
}

func TestACursorIsOfWhoReadsThePartition(t *testing.T) {
	r := newRig(t)
	r.js("O", 2, 12)
	a := r.groupOK("JOIN.g", `{"consumer":"a","streams":["O"]}`)
	commit := func(consumer string, epoch uint64, name string, last int) string {
		return fmt.Sprintf(`{"consumer":%q,"epoch":%d,"cursors":[{"name":%q,"last":%d}]}`, consumer, epoch, name, last)
	}
	if a.Assignments[1].Last != nil {
		t.Fatal("a cursor that was never set")
	}
	r.groupOK("COMMIT.g", commit("a", a.Epoch, "O:1", 2))
	b := r.groupOK("JOIN.g", `{"consumer":"b","streams":["O"]}`)
	if len(b.Assignments) != 1 || b.Assignments[0].Name != "O:1" || *b.Assignments[0].Last != 2 {
		t.Fatalf("%+v", b.Assignments)
	}
	r.groupRefused(jswire.CodeGroupEpoch, "COMMIT.g", commit("a", a.Epoch, "O:1", 3))
	r.groupRefused(jswire.CodeGroupNotAssigned, "COMMIT.g", commit("a", b.Epoch, "O:1", 3))
	r.groupRefused(jswire.CodeGroupNotMember, "COMMIT.g", commit("c", b.Epoch, "O:1", 3))
	r.groupRefused(jswire.CodeGroupNotFound, "COMMIT.h", commit("a", b.Epoch, "O:1", 3))
	r.groupRefused(jswire.CodeGroupBadRequest, "COMMIT.g", commit("b", b.Epoch, "O:1", 1000))
	r.groupRefused(jswire.CodeGroupBadRequest, "COMMIT.g", commit("b", b.Epoch, "O", 1))
	r.groupOK("COMMIT.g", commit("b", b.Epoch, "O:1", 3))

	// Liftbridge's clients see the same cursor.
	got, err := r.FetchCursor(r.ctx(), &pb.FetchCursorRequest{Stream: "O", Partition: 1, CursorId: "__group:g"})
	if err != nil || got.Offset != 2 {
		t.Fatal(got, err)
	}
	if _, err := r.SetCursor(r.ctx(), &pb.SetCursorRequest{Stream: "O", Partition: 0, CursorId: "__group:g", Offset: 0}); err != nil {
		t.Fatal(err)
	}
	i := r.groupOK("INFO.g", "")
	if len(i.Members) != 2 || len(i.Partitions) != 2 || *i.Partitions[0].Last != 1 || *i.Partitions[1].Last != 3 ||
		i.Partitions[0].Lag != i.Partitions[0].End-1 || i.Partitions[1].Consumer != "b" {
		t.Fatalf("%+v", i)
	}
}

func TestGroupsAreOfBothKindsOfClients(t *testing.T) {
	r := newRig(t)
	r.create("a.b", 2)
	joined, err := r.JoinConsumerGroup(r.ctx(), &pb.JoinConsumerGroupRequest{GroupId: "g", ConsumerId: "lift", Streams: []string{"a.b"}})
	if err != nil {
		t.Fatal(err)
	}
	a := r.groupOK("JOIN.g", `{"consumer":"nats","streams":["a%2Eb"]}`)
	if a.Epoch <= joined.Epoch || !slices.Equal(reads(a), []string{"a%2Eb:1"}) || a.Assignments[0].Stream != "a%2Eb" {
		t.Fatalf("%+v", a)
	}
	f, err := r.FetchConsumerGroupAssignments(r.ctx(), &pb.FetchConsumerGroupAssignmentsRequest{GroupId: "g", ConsumerId: "lift", Epoch: a.Epoch})
	if err != nil || len(f.Assignments) != 1 || !slices.Equal(f.Assignments[0].Partitions, []int32{0}) {
		t.Fatal(f, err)
	}
}

func TestADeletedStreamIsTakenOutOfGroups(t *testing.T) {
	r := newRig(t)
	r.js("O", 2, 0)
	r.js("P", 1, 0)
	r.groupOK("JOIN.g", `{"consumer":"a","streams":["O","P"]}`)
	var gone struct{ Success bool }
	if r.request("STREAM.DELETE.O", nil, &gone); !gone.Success {
		t.Fatal("not deleted")
	}
	streamtest.Await(t, "the stream to be taken out", func() bool {
		return slices.Equal(reads(r.groupOK("ASSIGNMENTS.g", `{"consumer":"a"}`)), []string{"P"})
	})
}

func TestCursorsOfAGroupWithoutMembersAreReset(t *testing.T) {
	r := newRig(t)
	r.js("O", 2, 20)
	a := r.groupOK("JOIN.g", `{"consumer":"a","streams":["O"]}`)
	r.groupRefused(jswire.CodeGroupHasMembers, "RESET.g", `{"to":"first","names":["O"]}`)
	r.groupRefused(jswire.CodeGroupHasMembers, "DELETE.g", "")
	r.groupOK("COMMIT.g", fmt.Sprintf(`{"consumer":"a","epoch":%d,"cursors":[{"name":"O:0","last":1}]}`, a.Epoch))
	r.groupOK("LEAVE.g", `{"consumer":"a"}`)
	ends := map[string]uint64{}
	for _, s := range []string{"O:0", "O:1"} {
		ends[s] = r.Streams.Find("A", s).Partition().Committed()
	}
	for body, want := range map[string][]jswire.GroupCursor{
		`{"to":"last","names":["O"]}`:                                 {{Name: "O:0", Last: ends["O:0"]}, {Name: "O:1", Last: ends["O:1"]}},
		`{"to":"first","names":["O:1"]}`:                              {{Name: "O:1", Last: 0}},
		`{"to":"sequence","sequence":3,"names":["O:0"]}`:              {{Name: "O:0", Last: 2}},
		`{"to":"time","time":"2999-01-01T00:00:00Z","names":["O:0"]}`: nil,
		`{"to":"time","time":"2100-01-01T00:00:00Z","names":["O:0"]}`: {{Name: "O:0", Last: ends["O:0"]}},
	} {
		if want == nil {
			r.groupRefused(jswire.CodeGroupBadRequest, "RESET.g", body)
			continue
		}
		if got := r.groupOK("RESET.g", body).Cursors; !slices.Equal(got, want) {
			t.Errorf("%s: %v, want %v", body, got, want)
		}
	}
	if got := r.groupOK("RESET.g", `{"to":"first"}`).Cursors; len(got) != 2 {
		t.Error("not all cursors were reset:", got)
	}
	l := r.groupOK("LIST", "")
	if l.Total != 1 || l.Groups[0].Group != "g" || l.Groups[0].Members != 0 {
		t.Fatalf("%+v", l)
	}
	r.groupOK("DELETE.g", "")
	r.groupRefused(jswire.CodeGroupNotFound, "INFO.g", "")
	r.groupRefused(jswire.CodeGroupNotFound, "DELETE.g", "")
	r.groupRefused(jswire.CodeGroupNotFound, "RESET.g", `{"to":"first"}`)
}

func TestGroupRequestsAreReadStrictly(t *testing.T) {
	r := newRig(t)
	r.js("O", 2, 0)
	r.create("hidden", 1)
	const bad, js = jswire.CodeGroupBadRequest, jswire.CodeInvalidJSON
	for _, c := range []struct {
		code          int
		request, body string
	}{
		{js, "JOIN.g", ``}, {js, "JOIN.g", `[]`}, {js, "JOIN.g", `{"consumer":"a","streams":["O"],"more":1}`}, {js, "JOIN.g", `{} x`},
		{bad, "JOIN.g", `{}`}, {bad, "JOIN.g", `{"consumer":"a"}`}, {bad, "JOIN.g", `{"consumer":"a","streams":["O:1"]}`},
		{jswire.CodeGroupUnknownStream, "JOIN.g", `{"consumer":"a","streams":["X"]}`},
		{jswire.CodeGroupUnknownStream, "JOIN.g", `{"consumer":"a","streams":["__groups"]}`},
		{bad, "JOIN.g", `{"consumer":"` + strings.Repeat("x", 2000) + `","streams":["O"]}`},
		{bad, "LEAVE.g", `{"consumer":"a","streams":[]}`}, {jswire.CodeGroupNotFound, "LEAVE.g", `{"consumer":"a"}`},
		{bad, "COMMIT.g", `{"consumer":"a","epoch":1}`}, {bad, "COMMIT.g", `{"consumer":"a","cursors":[{"name":"O:0","last":0}]}`}, {js, "COMMIT.g", `{"consumer":"a","epoch":-1,"cursors":[]}`},
		{bad, "RESET.g", `{"to":"there"}`}, {bad, "RESET.g", `{"to":"sequence"}`}, {bad, "RESET.g", `{"to":"last","sequence":3}`},
		{bad, "RESET.g", `{"to":"time"}`}, {jswire.CodeGroupUnknownStream, "RESET.g", `{"to":"last","names":["X"]}`},
		{jswire.CodeNotEmptyRequest, "INFO.g", `{"a":1}`}, {jswire.CodeGroupNotFound, "INFO.g", ``}, {js, "LIST", `{"a":1}`},
		{bad, "INFO." + strings.Repeat("x", 2000), ``},
	} {
		r.groupRefused(c.code, c.request, c.body)
	}
	a := r.groupOK("JOIN.a%2Eb", `{"consumer":"a","streams":["O"]}`)
	if l := r.groupOK("LIST", ""); l.Groups[0].Group != "a.b" || l.Groups[0].Epoch != a.Epoch {
		t.Fatalf("%+v", l)
	}
	r.noStreams.Store(true)
	r.groupRefused(jswire.CodeNotEnabledForAccount, "LIST", "")
}

func TestWithoutCursorsAGroupKeepsNone(t *testing.T) {
	r := newRig(t, func(o *Options) { o.Cursors = 0 })
	r.js("O", 2, 4)
	a := r.groupOK("JOIN.g", `{"consumer":"a","streams":["O"]}`)
	r.groupRefused(jswire.CodeGroupNoCursors, "COMMIT.g", fmt.Sprintf(`{"consumer":"a","epoch":%d,"cursors":[{"name":"O:0","last":0}]}`, a.Epoch))
}
