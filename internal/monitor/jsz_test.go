package monitor

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/weirmq/weir/internal/metrics"
)

func TestJszAsksForTheDetailsThatAreWanted(t *testing.T) {
	f := &fake{}
	s := start(t, "", f)
	for query, want := range map[string]JszQuery{
		"":                          {},
		"?accounts=1":               {Accounts: true},
		"?acc=A":                    {Account: "A", Accounts: true},
		"?streams=true":             {Accounts: true, Streams: true},
		"?consumers=1":              {Accounts: true, Streams: true, Consumer: true},
		"?acc=A&streams=1&config=1": {Account: "A", Accounts: true, Streams: true, Config: true},
	} {
		if status, _, body := get(t, s, "/jsz"+query); status != http.StatusOK || *f.asked != want {
			t.Errorf("%s: %d %s, asked %+v", query, status, body, f.asked)
		}
	}
	if status, _, _ := get(t, s, "/jsz?streams=maybe"); status != http.StatusBadRequest {
		t.Errorf("a wrong parameter: %d", status)
	}
}

func TestJszPagesAccounts(t *testing.T) {
	s := start(t, "", &fake{jsz: Jsz{Accounts: []JszAccount{{Name: "A"}, {Name: "B"}, {Name: "C"}}, Total: 3}})
	var j Jsz
	ask(t, s, "/jsz?accounts=1&offset=1&limit=1", &j)
	if len(j.Accounts) != 1 || j.Accounts[0].Name != "B" || j.Total != 3 {
		t.Errorf("%+v", j)
	}
}

func TestAccountsAreNamedOrDescribed(t *testing.T) {
	s := start(t, "", &fake{})
	var a Accountz
	ask(t, s, "/accountz", &a)
	if len(a.Accounts) != 2 || a.Detail != nil {
		t.Errorf("all: %+v", a)
	}
	ask(t, s, "/accountz?acc=A", &a)
	if a.Detail == nil || a.Detail.Clients != 2 {
		t.Errorf("one: %+v", a)
	}
	if status, _, _ := get(t, s, "/accountz?acc=X"); status != http.StatusNotFound {
		t.Errorf("an unknown one: %d", status)
	}
}

func TestMetricsHaveTheNamesThatDashboardsRead(t *testing.T) {
	f := &fake{jsz: Jsz{
		Config: &JetStreamConfig{MaxMemory: 1, MaxStorage: 2}, Streams: 2, Consumers: 3, Messages: 4, Bytes: 5,
		Accounts: []JszAccount{{Name: "A", ID: "A", JetStreamStats: JetStreamStats{Memory: 6, Storage: 7}, Streams: []JszStream{{
			Name: "S", State: JszState{Messages: 8, Bytes: 9, FirstSeq: 10, LastSeq: 17, Subjects: 11, Consumers: 1},
			Consumers: []JszConsumer{{Name: "C", Pending: 12, AckPending: 13, Delivered: JszPosition{Consumer: 14, Stream: 15}}},
		}}}},
	}}
	f.set.Counter("weir_things_total", "Things.", func() uint64 { return 42 })
	var h metrics.Histogram
	h.Observe(15 * time.Microsecond)
	h.Observe(time.Hour)
	f.set.Histogram("weir_sync_seconds", "Syncs.", h.Load)
	f.set.Labelled(metrics.KindGauge, "weir_labelled", "With a label.", []string{"who"}, func(emit func(float64, ...string)) { emit(1, "me") })
	_, _, body := get(t, start(t, "", f), "/metrics")
	server := `server_id="ID",server_name="N"`
	account := `account="A",account_id="A",account_name="A",`
	for _, line := range []string{
		"weir_ready 1", "weir_things_total 42", `weir_labelled{who="me"} 1`, "# TYPE weir_things_total counter", "# HELP weir_things_total Things.",
		`weir_sync_seconds_bucket{le="1e-05"} 0`, `weir_sync_seconds_bucket{le="2e-05"} 1`, `weir_sync_seconds_bucket{le="+Inf"} 2`, "weir_sync_seconds_count 2",
		`gnatsd_varz_slow_consumers{server_id="ID"} 3`, `gnatsd_varz_slow_consumer_stats_clients{server_id="ID"} 0`, `gnatsd_varz_mem{server_id="ID"} 0`,
		"jetstream_server_total_streams{" + server + "} 2", "jetstream_server_total_consumers{" + server + "} 3", "jetstream_server_jetstream_disabled{" + server + "} 0",
		"jetstream_account_storage_used{" + account + server + "} 7",
		"jetstream_stream_total_messages{" + account + server + `,stream_name="S"} 8`,
		"jetstream_stream_last_seq{" + account + server + `,stream_name="S"} 17`,
		"jetstream_consumer_num_pending{" + account + `consumer_name="C",` + server + `,stream_name="S"} 12`,
		"jetstream_consumer_delivered_consumer_seq{" + account + `consumer_name="C",` + server + `,stream_name="S"} 14`,
		"weir_series_left_out 3",
	} {
		if !strings.Contains(body, line+"\n") {
			t.Errorf("no line %s", line)
		}
	}
	if f.asked.Most != mostSeries {
		t.Errorf("the number of series is not bounded: %+v", f.asked)
	}
	if t.Failed() {
		t.Log(body)
	}
}

func TestMetricsSayThatStreamsAreOff(t *testing.T) {
	_, _, body := get(t, start(t, "", &fake{jsz: Jsz{Disabled: true}}), "/metrics")
	if !strings.Contains(body, `jetstream_server_jetstream_disabled{server_id="ID",server_name="N"} 1`) || strings.Contains(body, "total_streams") {
		t.Error(body)
	}
}
