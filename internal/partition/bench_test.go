package partition

import (
	"fmt"
	"testing"

	"github.com/weirmq/weir/internal/record"
	runs "github.com/weirmq/weir/internal/seglog/subjects"
)

// BenchmarkPublish admits and applies records; an operation is one.
func BenchmarkPublish(b *testing.B) {
	for _, c := range []struct {
		subjects int
		limits   Limits
	}{{1, Limits{}}, {100_000, Limits{}}, {100_000, Limits{MaxPerSubject: 1}}, {1, Limits{MaxRecords: 1000}}} {
		b.Run(fmt.Sprintf("subjects=%d,perSubject=%d,records=%d", c.subjects, c.limits.MaxPerSubject, c.limits.MaxRecords), func(b *testing.B) {
			r := openRig(&testing.T{}, c.limits, &memStore{})
			r.quiet = true
			batch := &Batch{}
			names := make([][]byte, c.subjects)
			for i := range names {
				names[i] = fmt.Appendf(nil, "orders.%07d.new", i)
			}
			b.ReportAllocs()
			b.ResetTimer()
			for n := 0; n < b.N; {
				batch.Reset()
				batch.Area.Buf = make([]byte, 0, 64<<10)
				for range 500 {
					batch.Area.Append(&record.Parts{Subject: names[n*7919%c.subjects], Data: []byte("0123456789")})
					n++
				}
				r.p.Admit(1, batch)
				r.sync()
				if n%50_000 == 0 {
					r.log = r.log[:0]
					r.durable = 0
				}
			}
		})
	}
}

// BenchmarkPublishPaged admits and applies records of subjects that are all on
// disk at first; an operation is one.
func BenchmarkPublishPaged(b *testing.B) {
	const n = 1_000_000
	r := newPagedRig(&testing.T{}, Limits{})
	r.index.cache = runs.NewCache(64 << 20)
	if err := r.index.Open(nil); err != nil {
		b.Fatal(err)
	}
	r.fill(0, n)
	r.checkpoint()
	batch := &Batch{}
	b.ReportAllocs()
	i := 0
	for b.Loop() {
		if i++; i%500 == 0 {
			r.p.Admit(1, batch)
			r.sync()
			r.log, r.durable = r.log[:0], 0
			batch.Reset()
			if i%100_000 == 0 {
				b.StopTimer()
				r.checkpoint()
				b.StartTimer()
			}
		}
		batch.Area.Append(&record.Parts{Subject: fmt.Appendf(nil, "fill.%06d", i*7919%n), Data: []byte("0123456789")})
	}
}
