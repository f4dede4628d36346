package jetstream

import "strconv"

// AckWriter is AppendAck for one delivery after the other. Most numbers of one are next
// to those of the one before, and are counted on where they stand: to write each anew
// was a seventh of what a delivery costs. The zero value is ready; it is used by one
// goroutine.
type AckWriter struct {
	sseq, dseq, ts, pending decimal
}

// Append adds the reply subject of a delivery, exactly as AppendAck does.
func (w *AckWriter) Append(dst []byte, stream, consumer string, delivered, sseq, dseq uint64, ts int64, pending uint64) []byte {
	if ts < 0 {
		return AppendAck(dst, stream, consumer, delivered, sseq, dseq, ts, pending)
	}
	dst = AppendAckPrefix(dst, stream, consumer)
	dst = strconv.AppendUint(dst, delivered, 10)
	dst = append(dst, '.')
	dst = append(dst, w.sseq.of(sseq)...)
	dst = append(dst, '.')
	dst = append(dst, w.dseq.of(dseq)...)
	dst = append(dst, '.')
	dst = append(dst, w.ts.of(uint64(ts))...)
	dst = append(dst, '.')
	return append(dst, w.pending.of(pending)...)
}

// decimal is a number and its digits, at the end of the array.
type decimal struct {
	n      uint64
	from   int      // of the first digit; 0: nothing was written yet
	digits [21]byte // one more than the longest number takes
}

// of gives the digits of n, valid until the next call.
func (d *decimal) of(n uint64) []byte {
	switch {
	case d.from == 0:
		d.write(n)
	case n == d.n:
	case n != 0 && n-1 == d.n && d.up(), d.n != 0 && d.n-1 == n && d.down():
		d.n = n
	default:
		d.write(n)
	}
	return d.digits[d.from:]
}

func (d *decimal) write(n uint64) {
	var b [20]byte
	s := strconv.AppendUint(b[:0], n, 10)
	d.n, d.from = n, len(d.digits)-len(s)
	copy(d.digits[d.from:], s)
}

// up counts on by one; false if that takes a digit more.
func (d *decimal) up() bool {
	for i := len(d.digits) - 1; i >= d.from; i-- {
		if d.digits[i] < '9' {
			d.digits[i]++
			return true
		}
		d.digits[i] = '0'
	}
	return false
}

// down counts back by one; false if that takes a digit less.
func (d *decimal) down() bool {
	for i := len(d.digits) - 1; i >= d.from; i-- {
		if d.digits[i] > '0' {
			d.digits[i]--
			return i > d.from || d.digits[i] != '0' || i == len(d.digits)-1
		}
		d.digits[i] = '9'
	}
	return false
}
