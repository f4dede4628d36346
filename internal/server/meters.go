package server

import (
	"time"

	natsdoor "github.com/weirmq/weir/internal/door/nats"
	"github.com/weirmq/weir/internal/journal"
	"github.com/weirmq/weir/internal/metrics"
)

// Metrics implements monitor.Source.
func (s *source) Metrics() *metrics.Set { return s.set }

// meterClients names what the NATS door counts.
func (s *source) meterClients() {
	total := func(name, help string, of func(t *natsdoor.Totals) uint64) {
		s.set.Counter(name, help, func() uint64 {
			t := s.nats.Totals()
			return of(&t)
		})
	}
	s.set.Gauge("weir_connections", "Open client connections.", func() float64 { return float64(s.nats.Totals().Connections) })
	s.set.Gauge("weir_subscriptions", "Subscriptions, those of the server's own services too.", func() float64 { return float64(s.subscriptions()) })
	total("weir_connections_total", "Client connections ever accepted.", func(t *natsdoor.Totals) uint64 { return t.TotalConnections })
	total("weir_messages_in_total", "Messages that clients published.", func(t *natsdoor.Totals) uint64 { return t.InMsgs })
	total("weir_bytes_in_total", "Bytes of messages that clients published.", func(t *natsdoor.Totals) uint64 { return t.InBytes })
	total("weir_messages_out_total", "Messages delivered to clients.", func(t *natsdoor.Totals) uint64 { return t.OutMsgs })
	total("weir_bytes_out_total", "Bytes of messages delivered to clients.", func(t *natsdoor.Totals) uint64 { return t.OutBytes })
	total("weir_slow_consumers_total", "Connections closed because they did not read.", func(t *natsdoor.Totals) uint64 { return t.SlowPending + t.SlowDeadline })
	total("weir_stale_connections_total", "Connections closed because they did not answer.", func(t *natsdoor.Totals) uint64 { return t.Stale })
	total("weir_ingest_stalls_total", "Publishes that had to wait for a stream.", func(t *natsdoor.Totals) uint64 { return t.IngestStalls })
	total("weir_ingest_dropped_total", "Publishes that a stream never took because it was over its budget.", func(t *natsdoor.Totals) uint64 { return t.IngestDropped })
	s.set.Counter("weir_service_requests_dropped_total", "Requests to services dropped because too many waited.", func() uint64 { return uint64(s.workers.Dropped()) })
	s.set.Labelled(metrics.KindGauge, "weir_account_connections", "Open client connections of an account.", []string{"account"}, func(emit func(float64, ...string)) {
		for _, a := range s.accounts.All() {
			emit(float64(a.Connections()), a.Name)
		}
	})
}

// meterStorage names what the journal counts and the budgets hold.
func (s *source) meterStorage() {
	m := &s.storage.journal.Metrics
	s.set.Gauge("weir_storage_failed", "1 after a write or sync failed: nothing is stored until a restart.", func() float64 {
		if s.storage.err() != nil {
			return 1
		}
		return 0
	})
	s.set.Gauge("weir_stored_bytes", "Bytes that streams keep on disk.", func() float64 { return float64(s.budgets.disk.used.Load()) })
	s.set.Gauge("weir_memory_stored_bytes", "Bytes that streams keep in memory only.", func() float64 { return float64(s.budgets.memory.used.Load()) })
	s.set.Counter("weir_journal_batches_total", "Batches written to the journal.", m.Batches.Load)
	s.set.Counter("weir_journal_entries_total", "Entries written to the journal.", m.Entries.Load)
	s.set.Counter("weir_journal_bytes_total", "Bytes written to the journal, padding included.", m.Bytes.Load)
	s.set.Counter("weir_extents_total", "Large frames written to extents instead of twice.", m.Extents.Load)
	s.set.Counter("weir_extent_bytes_total", "Bytes of them.", m.ExtentBytes.Load)
	s.set.Counter("weir_journal_failures_total", "Failed writes, syncs and preparations of the journal.", m.Failures.Load)
	s.set.Gauge("weir_journal_files", "Files of the journal.", func() float64 { return float64(m.Files.Load()) })
	s.set.Gauge("weir_journal_unreleased_bytes", "Bytes of the journal that no checkpoint covers yet.", func() float64 { return float64(s.storage.journal.Pressure().Unreleased) })
	v, scrub := s.storage.volume, s.storage.scrub
	s.set.Counter("weir_scrub_bytes_total", "Stored bytes that were verified in the background.", v.Scrubbed)
	s.set.Counter("weir_damaged_ranges_total", "Damaged ranges of stored data, found by the scrub or by a reader since the start.", scrub.damaged.Load)
	s.set.Gauge("weir_scrub_last_pass_timestamp_seconds", "When the last complete pass of the scrub ended, Unix time; 0: none since the start.", func() float64 {
		return float64(scrub.passed.Load()) / 1e9
	})
	s.set.Counter("weir_reclaim_bytes_total", "Stored bytes that were read or written to compact streams and to give the space of removed messages back.", s.storage.reclaim.worked.Load)
	s.set.Counter("weir_compacted_messages_total", "Messages that a compaction removed, because a newer one of their subject or key is there.", s.storage.reclaim.compacted.Load)
	s.set.Histogram("weir_journal_sync_seconds", "Syncs of the journal, or writes that sync.", func() metrics.Distribution {
		d := metrics.Distribution{Bounds: journal.SyncBuckets[:], Counts: make([]uint64, len(m.SyncLatency)), Sum: time.Duration(m.SyncNanos.Load())}
		for i := range m.SyncLatency {
			d.Counts[i] = m.SyncLatency[i].Load()
		}
		return d
	})
}
