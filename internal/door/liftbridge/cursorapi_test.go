package liftbridge

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/weirmq/weir/internal/stream/streamtest"
	jswire "github.com/weirmq/weir/internal/wire/jetstream"
	"github.com/weirmq/weir/internal/wire/liftbridge/pb"
)

// cursorAt asks about a cursor: its offset, -1 for none, and whether it was kept; or the
// number of the error.
func (r *rig) cursorAt(kind jswire.CursorKind, body string) (offset int64, kept bool, code int) {
	r.t.Helper()
	m := streamtest.Request(r.t, r.space, jswire.CursorPrefix+string(kind), nil, []byte(body))
	var a jswire.CursorResponse
	if err := json.Unmarshal(m.Data, &a); err != nil || a.Type != "io.weir.api.v1.cursor_"+strings.ToLower(string(kind))+"_response" {
		r.t.Fatalf("%v: %s", err, m.Data)
	}
	if a.Error != nil {
		return 0, false, a.Error.ErrCode
	}
	if a.Offset == nil {
		return none, a.Kept, 0
	}
	return *a.Offset, a.Kept, 0
}

func TestCursorsAreTheSameForNATSClients(t *testing.T) {
	r := newRig(t)
	want := func(kind jswire.CursorKind, body string, offset int64, kept bool) {
		t.Helper()
		if got, k, code := r.cursorAt(kind, body); got != offset || k != kept || code != 0 {
			t.Errorf("%s %s: %d, kept %v, error %d; want %d, %v", kind, body, got, k, code, offset, kept)
		}
	}
	want(jswire.CursorGet, `{"stream":"s.x","partition":3,"cursor":"c"}`, none, false)
	want(jswire.CursorSet, `{"stream":"s.x","partition":3,"cursor":"c","offset":7,"keep":true}`, 7, false)
	want(jswire.CursorSet, `{"stream":"s.x","partition":3,"cursor":"c","offset":9,"keep":true}`, 7, true)
	q := &pb.FetchCursorRequest{Stream: "s.x", Partition: 3, CursorId: "c"}
	if c, err := r.FetchCursor(r.ctx(), q); err != nil || c.Offset != 7 {
		t.Errorf("%v, %v", c, err)
	}
	if _, err := r.SetCursor(r.ctx(), &pb.SetCursorRequest{Stream: "s.x", Partition: 3, CursorId: "c", Offset: 2}); err != nil {
		t.Fatal(err)
	}
	want(jswire.CursorGet, `{"stream":"s.x","partition":3,"cursor":"c"}`, 2, false)
	want(jswire.CursorSet, `{"stream":"s.x","partition":3,"cursor":"c","offset":-5}`, -5, false)
	r = r.restart()
	want(jswire.CursorGet, `{"stream":"s.x","partition":3,"cursor":"c"}`, -5, false)
}

func TestRequestsAboutCursorsThatMakeNoSenseAreRefused(t *testing.T) {
	r := newRig(t)
	for body, code := range map[string]int{
		`{"stream":"s","cursor":"c"}`:                                             jswire.CodeGroupBadRequest, // no offset
		`{"cursor":"c","offset":1}`:                                               jswire.CodeGroupBadRequest,
		`{"stream":"s","offset":1}`:                                               jswire.CodeGroupBadRequest,
		`{"stream":"s","cursor":"c","partition":-1,"offset":1}`:                   jswire.CodeGroupBadRequest,
		`{"stream":"s","cursor":"` + strings.Repeat("c", 1<<16) + `","offset":1}`: jswire.CodeGroupBadRequest,
		`{"stream":"s","cursor":"c","offset":1,"other":1}`:                        jswire.CodeInvalidJSON,
	} {
		if _, _, got := r.cursorAt(jswire.CursorSet, body); got != code {
			t.Errorf("%.80s: error %d, want %d", body, got, code)
		}
	}
	if _, _, got := r.cursorAt(jswire.CursorGet, `{"stream":"s","cursor":"c","keep":true}`); got != jswire.CodeGroupBadRequest {
		t.Errorf("error %d", got)
	}
	r.noStreams.Store(true)
	if _, _, got := r.cursorAt(jswire.CursorGet, `{"stream":"s","cursor":"c"}`); got != jswire.CodeNotEnabledForAccount {
		t.Errorf("error %d", got)
	}
	off := newRig(t, func(o *Options) { o.Cursors = 0 })
	for kind, body := range map[jswire.CursorKind]string{
		jswire.CursorGet: `{"stream":"s","cursor":"c"}`, jswire.CursorSet: `{"stream":"s","cursor":"c","offset":1}`,
	} {
		if _, _, got := off.cursorAt(kind, body); got != jswire.CodeGroupNoCursors {
			t.Errorf("cursors are off: error %d", got)
		}
	}
}
