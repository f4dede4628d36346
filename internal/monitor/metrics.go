package monitor

import (
	"encoding/json"

	"github.com/prometheus/client_golang/prometheus"
)

// collector turns snapshots into metrics when somebody asks for them.
type collector struct{ s *Server }

// Describe implements prometheus.Collector: the metrics are not known beforehand.
func (*collector) Describe(chan<- *prometheus.Desc) {}

// Metric is one number of a room's own, with its help text.
type Metric struct {
	Name, Help string
	Counter    bool // it only rises
	Value      float64
	Labels     map[string]string
}

// Meter is a Source that has metrics of its own.
type Meter interface{ Metrics() []Metric }

// Collect implements prometheus.Collector.
func (c *collector) Collect(out chan<- prometheus.Metric) {
	up := 0.0
	if c.s.ready.Load() && c.s.state() == nil {
		up = 1
	}
	send(out, Metric{Name: "weir_ready", Help: "1 while clients are served as promised.", Value: up})
	src := c.s.source.Load()
	if src == nil {
		return
	}
	v := (*src).Varz()
	for name, n := range numbers(v) {
		send(out, Metric{Name: "gnatsd_varz_" + name, Help: "Field " + name + " of /varz.", Value: n, Labels: map[string]string{"server_id": v.ServerID}})
	}
	if m, ok := (*src).(Meter); ok {
		for _, metric := range m.Metrics() {
			send(out, metric)
		}
	}
}

func send(out chan<- prometheus.Metric, m Metric) {
	kind := prometheus.GaugeValue
	if m.Counter {
		kind = prometheus.CounterValue
	}
	pm, err := prometheus.NewConstMetric(prometheus.NewDesc(m.Name, m.Help, nil, m.Labels), kind, m.Value)
	if err != nil {
		pm = prometheus.NewInvalidMetric(prometheus.NewDesc(m.Name, m.Help, nil, m.Labels), err)
	}
	out <- pm
}

// numbers are the numeric fields of /varz, nested ones with the name of the block
// before them, as the exporter for Prometheus names them.
func numbers(v *Varz) map[string]float64 {
	b, err := json.Marshal(v)
	if err != nil {
		return nil
	}
	var m map[string]any
	if json.Unmarshal(b, &m) != nil {
		return nil
	}
	out := map[string]float64{}
	flatten(out, "", m)
	return out
}

func flatten(out map[string]float64, prefix string, m map[string]any) {
	for k, v := range m {
		switch x := v.(type) {
		case float64:
			out[prefix+k] = x
		case map[string]any:
			if k != "http_req_stats" {
				flatten(out, prefix+k+"_", x)
			}
		}
	}
}
