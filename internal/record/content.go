package record

// Decode reads a record's content as Area.Append wrote it, which must be all of b.
// Sequence and time are not in it. The view points into b. It is total: other
// bytes give an error that wraps ErrDamaged.
func Decode(b []byte) (View, error) { return decode(b) }

// SealGap makes a frame without records. It says that all sequences before h.Base
// are given out, and with h.Time when the last of them was.
func SealGap(h Header) *Frame {
	h.Flags |= FlagExplicit
	h.Count, h.AreaLen = 0, 0
	f := &Frame{Header: h, Head: make([]byte, HeaderLen)}
	f.writeHeader()
	return f
}

// Parts are what the record is made of, for storing it again. They are those of v.
func (v *View) Parts() Parts {
	return Parts{
		Subject: v.Subject, Header: v.Header, Data: v.Data, Reply: v.Reply, Key: v.Key, Attrs: v.Attrs,
		ID: v.ID, HasID: v.HasID, Rollup: v.Rollup, TTL: v.TTL, Marked: v.Marked,
	}
}
