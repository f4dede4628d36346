package liftbridge

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/weirmq/weir/internal/stream/streamtest"
	jswire "github.com/weirmq/weir/internal/wire/jetstream"
	"github.com/weirmq/weir/internal/wire/liftbridge/pb"
)

// cursors lists cursors: "partition cursor offset" of each, page by page.
func (r *rig) cursors(body string) (list []string, pages int) {
	r.t.Helper()
	for offset := 0; ; {
		body := strings.Replace(body, "}", fmt.Sprintf(`,"offset":%d}`, offset), 1)
		m := streamtest.Request(r.t, r.space, jswire.CursorPrefix+"LIST", nil, []byte(body))
		var a jswire.CursorListResponse
		if err := json.Unmarshal(m.Data, &a); err != nil || a.Error != nil || a.Type != "io.weir.api.v1.cursor_list_response" {
			r.t.Fatalf("%s: %v: %.200s", body, err, m.Data)
		}
		pages++
		for _, c := range a.Cursors {
			list = append(list, fmt.Sprint(c.Partition, " ", c.Cursor, " ", c.Offset))
		}
		if offset = a.Offset + a.Limit; offset >= a.Total {
			return list, pages
		}
	}
}

// TestCursorsAreListedByStreamAndPartition, whatever commas are in names, those of groups
// among them, and whoever set them.
func TestCursorsAreListedByStreamAndPartition(t *testing.T) {
	r := newRig(t)
	if got, _ := r.cursors(`{"stream":"s"}`); len(got) != 0 {
		t.Error(got)
	}
	set := func(stream string, partition int32, id string, offset int64) {
		t.Helper()
		if _, err := r.SetCursor(r.ctx(), &pb.SetCursorRequest{Stream: stream, Partition: partition, CursorId: id, Offset: offset}); err != nil {
			t.Fatal(err)
		}
	}
	set("s", 0, "b", 1)
	set("s", 0, "a", 7)
	set("s", 0, "a", 2)
	set("s", 2, "__group:g", 3)
	set("s", 10, "a.b c*", -2)
	set("other", 0, "a", 4)
	set("x,s", 0, "a", 5)
	set("s", 0, "with,commas", 6)
	for body, want := range map[string][]string{
		`{"stream":"s"}`:                   {"0 a 2", "0 b 1", "0 with,commas 6", "2 __group:g 3", "10 a.b c* -2"},
		`{"stream":"s","partition":0}`:     {"0 a 2", "0 b 1", "0 with,commas 6"},
		`{"stream":"s","partition":2}`:     {"2 __group:g 3"},
		`{"stream":"s","partition":1}`:     nil,
		`{"stream":"x,s"}`:                 {"0 a 5"},
		`{"stream":"other","partition":0}`: {"0 a 4"},
		`{"stream":"none"}`:                nil,
	} {
		for range 2 {
			if got, _ := r.cursors(body); !slices.Equal(got, want) {
				t.Errorf("%s: %q, not %q", body, got, want)
			}
			r = r.restart()
		}
	}
}

func TestAListOfManyCursorsComesInPages(t *testing.T) {
	r := newRig(t)
	const many = jswire.NamesLimit + 10
	f, err := r.door.cursorFamily()
	if err != nil || f == nil {
		t.Fatal(err)
	}
	for i := range many {
		at, err := r.door.placeOf(r.ctx(), "A", "s", fmt.Sprintf("c%05d", i), 0)
		if err == nil {
			err = at.store(r.ctx(), &pb.SetCursorRequest{Stream: "s", CursorId: fmt.Sprintf("c%05d", i), Offset: int64(i)})
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	got, pages := r.cursors(`{"stream":"s"}`)
	if len(got) != many || pages != 2 || got[many-1] != fmt.Sprintf("0 c%05d %d", many-1, many-1) || !slices.IsSorted(got) {
		t.Errorf("%d cursors on %d pages", len(got), pages)
	}
}

func TestAListOfCursorsIsRefusedAsOtherRequestsAre(t *testing.T) {
	r := newRig(t)
	for body, code := range map[string]int{
		`{}`:                            jswire.CodeGroupBadRequest,
		`{"stream":"s","partition":-1}`: jswire.CodeGroupBadRequest,
		`{"stream":"s","cursor":"c"}`:   jswire.CodeInvalidJSON,
	} {
		if _, _, got := r.cursorAt(jswire.CursorList, body); got != code {
			t.Errorf("%s: error %d, want %d", body, got, code)
		}
	}
	off := newRig(t, func(o *Options) { o.Cursors = 0 })
	if _, _, got := off.cursorAt(jswire.CursorList, `{"stream":"s"}`); got != jswire.CodeGroupNoCursors {
		t.Errorf("error %d", got)
	}
	r = r.unreadable("__cursors:1")
	if _, _, got := r.cursorAt(jswire.CursorList, `{"stream":"s"}`); got != jswire.CodeGroupNotCommitted {
		t.Errorf("a list of some of them: error %d", got)
	}
}
