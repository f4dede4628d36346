package monitor

import (
	"encoding/json"
	"net/http"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"github.com/weirmq/weir/internal/metrics"
)

// metrics writes the rooms' own metrics, and under the names of the exporter for
// NATS what its dashboards show.
func (s *Server) metrics(w http.ResponseWriter, r *http.Request) {
	reg := prometheus.NewRegistry()
	reg.MustRegister(&collector{s})
	promhttp.HandlerFor(reg, promhttp.HandlerOpts{ErrorHandling: promhttp.ContinueOnError}).ServeHTTP(w, r)
}

// collector turns snapshots into metrics when somebody asks for them.
type collector struct{ s *Server }

// Describe implements prometheus.Collector: the metrics are not known beforehand.
func (*collector) Describe(chan<- *prometheus.Desc) {}

var (
	readyDesc    = metrics.Desc{Name: "weir_ready", Help: "1 while clients are served as promised."}
	requestsDesc = metrics.Desc{Name: "weir_http_requests_total", Help: "HTTP requests answered.", Kind: metrics.KindCounter, Labels: []string{"path"}}
)

// Collect implements prometheus.Collector.
func (c *collector) Collect(out chan<- prometheus.Metric) {
	give := func(m metrics.Sample) { out <- convert(m) }
	up := 0.0
	if len(c.s.problems(HealthQuery{Server: true})) == 0 {
		up = 1
	}
	give(metrics.Sample{Desc: &readyDesc, Value: up})
	for path, n := range c.s.requestCounts() {
		give(metrics.Sample{Desc: &requestsDesc, Labels: []string{path}, Value: float64(n)})
	}
	p := c.s.source.Load()
	if p == nil {
		return
	}
	src := *p
	v := src.Varz()
	v.Uptime, v.HTTPReqStats = "", nil
	numbers("gnatsd_varz_", v, func(name string, value float64) {
		d := metrics.Desc{Name: name, Help: "A field of /varz.", Labels: []string{"server_id"}}
		give(metrics.Sample{Desc: &d, Labels: []string{v.ServerID}, Value: value})
	})
	exporter{give}.jetStream(src.Jsz(&JszQuery{Accounts: true, Streams: true, Consumer: true, Most: mostSeries}), v)
	src.Metrics().Read(give)
}

// convert makes a metric of the client library.
func convert(m metrics.Sample) prometheus.Metric {
	d := prometheus.NewDesc(m.Desc.Name, m.Desc.Help, m.Desc.Labels, nil)
	var pm prometheus.Metric
	var err error
	switch m.Desc.Kind {
	case metrics.KindHistogram:
		below, buckets := uint64(0), make(map[float64]uint64, len(m.Distribution.Bounds))
		for i, bound := range m.Distribution.Bounds {
			below += m.Distribution.Counts[i]
			buckets[bound.Seconds()] = below
		}
		pm, err = prometheus.NewConstHistogram(d, m.Distribution.Total(), m.Distribution.Sum.Seconds(), buckets)
	case metrics.KindCounter:
		pm, err = prometheus.NewConstMetric(d, prometheus.CounterValue, m.Value, m.Labels...)
	default:
		pm, err = prometheus.NewConstMetric(d, prometheus.GaugeValue, m.Value, m.Labels...)
	}
	if err != nil {
		return prometheus.NewInvalidMetric(d, err)
	}
	return pm
}

// numbers gives the numeric fields of what is shown as JSON, nested ones with the
// name of the block before them, as the exporter for NATS names them.
func numbers(prefix string, v any, give func(name string, value float64)) {
	b, err := json.Marshal(v)
	if err != nil {
		return // it is one of our own structs; /varz would say so
	}
	var m map[string]any
	if json.Unmarshal(b, &m) == nil {
		flatten(prefix, m, give)
	}
}

func flatten(prefix string, m map[string]any, give func(name string, value float64)) {
	for k, v := range m {
		switch x := v.(type) {
		case float64:
			give(prefix+k, x)
		case map[string]any:
			flatten(prefix+k+"_", x, give)
		}
	}
}
