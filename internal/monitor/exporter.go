package monitor

import "github.com/weirmq/weir/internal/metrics"

// mostSeries bounds the streams and the consumers that have metrics of their own.
const mostSeries = 1000

// Labels of the exporter for NATS, each list with those of the level above.
var (
	serverLabels   = []string{"server_id", "server_name"}
	accountLabels  = append(serverLabels[:2:2], "account", "account_name", "account_id")
	streamLabels   = append(accountLabels[:5:5], "stream_name")
	consumerLabels = append(streamLabels[:6:6], "consumer_name")
)

var leftOutDesc = metrics.Desc{Name: "weir_series_left_out", Help: "Streams and consumers without metrics of their own, because there are too many."}

// exporter gives metrics under the names that dashboards know.
type exporter struct{ give func(metrics.Sample) }

func (e exporter) emit(prefix string, names, labels []string, values map[string]float64) {
	for name, v := range values {
		d := metrics.Desc{Name: prefix + name, Help: "A field of /jsz.", Labels: names}
		e.give(metrics.Sample{Desc: &d, Labels: labels, Value: v})
	}
}

// jetStream gives what the dashboards for streams read.
func (e exporter) jetStream(j *Jsz, v *Varz) {
	server := []string{v.ServerID, v.ServerName}
	if j.Disabled {
		e.emit("jetstream_server_", serverLabels, server, map[string]float64{"jetstream_disabled": 1})
		return
	}
	e.emit("jetstream_server_", serverLabels, server, map[string]float64{
		"jetstream_disabled": 0,
		"total_streams":      float64(j.Streams), "total_consumers": float64(j.Consumers),
		"total_messages": float64(j.Messages), "total_message_bytes": float64(j.Bytes),
		"max_memory": float64(j.Config.MaxMemory), "max_storage": float64(j.Config.MaxStorage),
	})
	left := j.Streams + j.Consumers
	for i := range j.Accounts {
		a := &j.Accounts[i]
		labels := append(server[:2:2], a.Name, a.Name, a.ID)
		e.emit("jetstream_account_", accountLabels, labels, map[string]float64{"memory_used": float64(a.Memory), "storage_used": float64(a.Storage)})
		for k := range a.Streams {
			e.stream(&a.Streams[k], labels)
			left -= 1 + len(a.Streams[k].Consumers)
		}
	}
	e.give(metrics.Sample{Desc: &leftOutDesc, Value: float64(max(0, left))})
}

func (e exporter) stream(s *JszStream, account []string) {
	labels := append(account[:5:5], s.Name)
	e.emit("jetstream_stream_", streamLabels, labels, map[string]float64{
		"total_messages": float64(s.State.Messages), "total_bytes": float64(s.State.Bytes),
		"first_seq": float64(s.State.FirstSeq), "last_seq": float64(s.State.LastSeq),
		"consumer_count": float64(s.State.Consumers), "subject_count": float64(s.State.Subjects),
	})
	for i := range s.Consumers {
		c := &s.Consumers[i]
		e.emit("jetstream_consumer_", consumerLabels, append(labels[:6:6], c.Name), map[string]float64{
			"delivered_consumer_seq": float64(c.Delivered.Consumer), "delivered_stream_seq": float64(c.Delivered.Stream),
			"ack_floor_consumer_seq": float64(c.AckFloor.Consumer), "ack_floor_stream_seq": float64(c.AckFloor.Stream),
			"num_ack_pending": float64(c.AckPending), "num_redelivered": float64(c.Redelivered),
			"num_waiting": float64(c.Waiting), "num_pending": float64(c.Pending),
		})
	}
}
