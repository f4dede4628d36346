package jetstream

import (
	"github.com/weirmq/weir/internal/partition"
	"github.com/weirmq/weir/internal/record"
	wire "github.com/weirmq/weir/internal/wire/jetstream"
)

// counters is the arithmetic of counter streams. A total is a *wire.Counter.
type counters struct{}

// Totals implements stream.Dialect.
func (Dialect) Totals() partition.Totals { return counters{} }

// Read implements partition.Totals.
func (counters) Read(v *record.View) (any, error) { return wire.ReadCounter(v.Header, v.Data) }

// Add implements partition.Totals.
func (counters) Add(total any, v *record.View) (*partition.Amended, uint32) {
	before, _ := total.(*wire.Counter)
	next, header, err := before.Add(v.Subject, v.Header, v.Data)
	if err != nil {
		return nil, uint32(err.ErrCode)
	}
	return &partition.Amended{Header: header, Data: next.Body(), Total: next, Text: next.Text()}, 0
}

// Unreadable implements partition.Totals.
func (counters) Unreadable() uint32 { return wire.CodeCounterBroken }

// totalOf is the total after a message that was stored; empty in a stream that does
// not count.
func totalOf(o partition.Outcome) string {
	if o.Of == nil || o.Of.Amended == nil {
		return ""
	}
	return o.Of.Amended.Text
}
