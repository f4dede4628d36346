package logtest

import (
	"fmt"
	"math/rand/v2"

	"github.com/weirmq/weir/internal/record"
)

// Rec is what a test remembers of a record.
type Rec struct {
	Seq     uint64
	Time    int64
	Subject string
	Data    string
}

// Dense makes a frame of n records from base on, with data of about size bytes.
// The same arguments give the same frame.
func Dense(id record.Identity, base uint64, t int64, n, size int) (*record.Frame, []Rec) {
	a, recs := area(base, n, size)
	for i := range recs {
		recs[i].Seq, recs[i].Time = base+uint64(i), t
	}
	return record.Seal(record.Header{Partition: id, Term: 1, Base: base, Time: t}, a.Buf, a.Slots), recs
}

// Sparse makes a frame of n records that keep their own sequences, with gaps,
// and times that rise.
func Sparse(rng *rand.Rand, id record.Identity, base uint64, t int64, n, size int) (*record.Frame, []Rec) {
	a, recs := area(base, n, size)
	places := make([]record.Place, n)
	for i := range recs {
		places[i] = record.Place{Seq: base, Time: t}
		recs[i].Seq, recs[i].Time = base, t
		base += 1 + rng.Uint64N(3)
		t += rng.Int64N(3)
	}
	return record.SealExplicit(record.Header{Partition: id, Term: 1}, a.Buf, a.Slots, places), recs
}

func area(base uint64, n, size int) (*record.Area, []Rec) {
	var a record.Area
	recs := make([]Rec, n)
	for i := range recs {
		data := make([]byte, size+i%7)
		for k := range data {
			data[k] = byte(base) + byte(i*31+k)
		}
		recs[i].Subject, recs[i].Data = fmt.Sprintf("s.%d.%d", base, i), string(data)
		a.Append(&record.Parts{Subject: []byte(recs[i].Subject), Data: data})
	}
	return &a, recs
}

// Of gives the comparable part of a view, copied.
func Of(v record.View) Rec {
	return Rec{v.Seq, v.Time, string(v.Subject), string(v.Data)}
}
