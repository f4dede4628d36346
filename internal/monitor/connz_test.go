package monitor

import (
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"
)

// crowd has three open connections and one that was closed.
func crowd() *fake {
	stopped := epoch.Add(-time.Minute)
	return &fake{
		conns: []ConnInfo{
			{Cid: 3, Start: epoch.Add(-3 * time.Hour), LastActivity: epoch.Add(-1 * time.Second), NumSubs: 1, Pending: 9, InMsgs: 1, OutMsgs: 30, InBytes: 5, OutBytes: 6, Account: "A", AuthorizedUser: "u", Latency: 2 * time.Millisecond},
			{Cid: 1, Start: epoch.Add(-1 * time.Hour), LastActivity: epoch.Add(-3 * time.Second), NumSubs: 3, Pending: 8, InMsgs: 2, OutMsgs: 20, InBytes: 7, OutBytes: 4, Account: "$G", Latency: time.Millisecond},
			{Cid: 2, Start: epoch.Add(-2 * time.Hour), LastActivity: epoch.Add(-2 * time.Second), NumSubs: 2, Pending: 7, InMsgs: 3, OutMsgs: 10, InBytes: 6, OutBytes: 5, Account: "A", AuthorizedUser: "v"},
			{Cid: 4, Start: epoch.Add(-9 * time.Hour), LastActivity: epoch.Add(-time.Hour), Stop: &stopped, Reason: "Client Closed", Account: "A"},
			{Cid: 5, Start: epoch.Add(-8 * time.Hour), LastActivity: epoch.Add(-time.Hour), Stop: ptr(stopped.Add(time.Second)), Reason: "Authentication Failure", Account: "A"},
		},
		subs: map[uint64][]SubDetail{
			1: {{Subject: "a.*", Sid: "1"}, {Subject: "b", Sid: "2", Queue: "q"}, {Subject: ">", Sid: "3"}},
			2: {{Subject: "a.b", Sid: "1", Msgs: 7, Max: 9}, {Subject: "c", Sid: "2"}},
			3: {{Subject: "d", Sid: "x"}},
		},
	}
}

func ptr(t time.Time) *time.Time { return &t }

func TestConnectionsAreChosenSortedAndPaged(t *testing.T) {
	s := start(t, "", crowd())
	for query, want := range map[string][]uint64{
		"":                              {1, 2, 3},
		"?sort=cid":                     {1, 2, 3},
		"?sort=start":                   {3, 2, 1},
		"?sort=subs":                    {1, 2, 3},
		"?sort=pending":                 {3, 1, 2},
		"?sort=msgs_to":                 {3, 1, 2},
		"?sort=msgs_from":               {2, 1, 3},
		"?sort=bytes_to":                {3, 2, 1},
		"?sort=bytes_from":              {1, 2, 3},
		"?sort=last":                    {3, 2, 1},
		"?sort=idle":                    {1, 2, 3},
		"?sort=uptime":                  {3, 2, 1},
		"?sort=rtt":                     {3, 1, 2},
		"?state=closed":                 {4, 5},
		"?state=closed&sort=stop":       {5, 4},
		"?state=closed&sort=reason":     {5, 4},
		"?state=any":                    {1, 2, 3, 4, 5},
		"?state=all&sort=uptime":        {4, 5, 3, 2, 1},
		"?cid=2":                        {2},
		"?cid=4":                        nil,
		"?acc=A":                        {2, 3},
		"?auth=1&user=v":                {2},
		"?mqtt_client=x":                nil,
		"?filter_subject=a.b":           {1, 2},
		"?filter_subject=d&state=any":   {1, 3},
		"?limit=2":                      {1, 2},
		"?offset=2&limit=2":             {3},
		"?offset=9":                     nil,
		"?limit=9223372036854775807":    {1, 2, 3},
		"?offset=9223372036854775807":   nil,
		"?sort=msgs_to&limit=1&auth=no": nil,
	} {
		if strings.HasSuffix(query, "auth=no") {
			if status, _, _ := get(t, s, "/connz"+query); status != http.StatusBadRequest {
				t.Errorf("%s: %d", query, status)
			}
			continue
		}
		var c Connz
		ask(t, s, "/connz"+query, &c)
		var got []uint64
		for _, i := range c.Conns {
			got = append(got, i.Cid)
		}
		if !slices.Equal(got, want) || c.NumConns != len(want) || c.Total < c.NumConns {
			t.Errorf("%s: %v of %d, want %v", query, got, c.Total, want)
		}
	}
}

func TestWrongParametersAreTold(t *testing.T) {
	s := start(t, "", crowd())
	for query, text := range map[string]string{
		"?sort=bogus":   "invalid sorting option: bogus\n",
		"?sort=stop":    "only valid on closed",
		"?sort=reason":  "only valid on closed",
		"?state=half":   "state: half",
		"?user=u":       "auth",
		"?limit=-1":     "limit",
		"?offset=x":     "offset",
		"?cid=1.5":      "cid",
		"?subs=perhaps": "subs",
		"?auth=2":       "auth",
	} {
		if status, _, body := get(t, s, "/connz"+query); status != http.StatusBadRequest || !strings.Contains(body, text) {
			t.Errorf("%s: %d %q", query, status, body)
		}
	}
}

func TestConnectionsAreDescribedAsAsked(t *testing.T) {
	s := start(t, "", crowd())
	one := func(query string) ConnInfo {
		t.Helper()
		var c Connz
		ask(t, s, "/connz?"+query, &c)
		if len(c.Conns) != 1 {
			t.Fatalf("%s: %d connections", query, len(c.Conns))
		}
		return c.Conns[0]
	}
	c := one("cid=3")
	if c.Kind != "Client" || c.Type != "nats" || c.Uptime != "3h0m0s" || c.Idle != "1s" || c.RTT != "2ms" || c.Account != "" || c.AuthorizedUser != "" || c.SubList != nil {
		t.Errorf("plain: %+v", c)
	}
	if c = one("cid=3&auth=true"); c.Account != "A" || c.AuthorizedUser != "u" {
		t.Errorf("with auth: %+v", c)
	}
	if c = one("cid=1&auth=1&subs=1"); c.Account != "" || !slices.Equal(c.SubList, []string{"a.*", "b", ">"}) {
		t.Errorf("with subscriptions: %+v", c)
	}
	if c = one("cid=2&subs=detail"); len(c.SubDetails) != 2 || c.SubDetails[0] != (SubDetail{Subject: "a.b", Sid: "1", Msgs: 7, Max: 9, Cid: 2}) || c.SubList != nil {
		t.Errorf("with details: %+v", c)
	}
	if c = one("cid=4&state=closed"); c.Stop == nil || c.Uptime != "8h59m0s" || c.Idle != "59m0s" || c.Reason != "Client Closed" {
		t.Errorf("closed: %+v", c)
	}
	_, _, body := get(t, s, "/connz?cid=2")
	last := -1
	for _, key := range []string{"cid", "kind", "type", "ip", "port", "start", "last_activity", "uptime", "idle", "pending_bytes", "in_msgs", "out_msgs", "in_bytes", "out_bytes", "subscriptions"} {
		at := strings.Index(body, `"`+key+`":`)
		if at < last {
			t.Errorf("%s is missing or not in its place", key)
		}
		last = at
	}
	_, _, body = get(t, s, "/connz?cid=9")
	if !strings.Contains(body, `"connections": []`) {
		t.Errorf("no connection is not an empty list: %s", body)
	}
}

func TestSubscriptionsAreCountedListedAndTested(t *testing.T) {
	s := start(t, "", crowd())
	for query, want := range map[string]struct{ num, total, listed int }{
		"":                       {6, 6, 0},
		"?acc=A":                 {3, 3, 0},
		"?subs=1":                {6, 6, 6},
		"?subs=1&limit=2":        {6, 6, 2},
		"?subs=1&offset=5":       {6, 6, 1},
		"?test=a.b":              {6, 3, 3},
		"?subs=1&acc=A&test=a.b": {3, 1, 1},
		"?test=nobody":           {6, 1, 1},
	} {
		var z Subsz
		ask(t, s, "/subsz"+query, &z)
		if z.NumSubs != want.num || z.Total != want.total || len(z.Subs) != want.listed {
			t.Errorf("%s: %+v, want %+v", query, z, want)
		}
	}
	for _, bad := range []string{"?test=a.*", "?test=a..b", "?limit=x"} {
		if status, _, _ := get(t, s, "/subsz"+bad); status != http.StatusBadRequest {
			t.Errorf("%s: %d", bad, status)
		}
	}
}
