package record

import (
	"encoding/binary"
	"fmt"
)

// Subject is the subject of record i of a frame with its area. It is for those who need
// nothing else of many records; checksums are not verified.
func (f *Frame) Subject(i int) ([]byte, error) {
	b, err := f.Content(i)
	if err != nil {
		return nil, err
	}
	if len(b) >= recordPrefix && b[0] == recordVersion && b[1] == 0 {
		if n := int(binary.LittleEndian.Uint16(b[2:])); n <= len(b)-recordPrefix {
			return b[recordPrefix:][:n:n], nil
		}
	}
	var v View
	if err := decodeTo(&v, b); err != nil {
		return nil, fmt.Errorf("record %d: %w", f.Seq(i), err)
	}
	return v.Subject, nil
}
