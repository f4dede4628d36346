package monitor

import (
	"net/http"
	"testing"
)

func TestLeafzShowsTheLinks(t *testing.T) {
	f := &fake{leafs: []LeafInfo{
		{ID: 1, Name: "hub", IsSpoke: true, Account: "A", IP: "127.0.0.1", Port: 7422, RTT: "1ms", InMsgs: 1, NumSubs: 2, Subs: []string{"a", "b"}},
		{ID: 2, Name: "other", Account: "B"},
	}}
	s := start(t, "", f)
	for path, want := range map[string][]int{"/leafz": {1, 2}, "/leafz?acc=A": {1}, "/leafz?acc=C": {}, "/leafz?subs=1": {1, 2}} {
		var z Leafz
		ask(t, s, path, &z)
		if z.NumLeafs != len(want) || len(z.Leafs) != len(want) {
			t.Errorf("%s: %+v", path, z)
			continue
		}
		for i, id := range want {
			l := z.Leafs[i]
			if l.ID != uint64(id) || (len(l.Subs) > 0) != (path == "/leafz?subs=1" && id == 1) {
				t.Errorf("%s: %+v", path, l)
			}
		}
	}
	if status, _, _ := get(t, s, "/leafz?subs=maybe"); status != http.StatusBadRequest {
		t.Errorf("status %d", status)
	}
}
