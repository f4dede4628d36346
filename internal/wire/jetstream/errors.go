package jetstream

import (
	_ "embed"
	"fmt"
	"strconv"
	"strings"
)

// Error is an API error as it stands in responses. Values from Err are shared:
// nobody changes one.
type Error struct {
	Code        int    `json:"code"`
	ErrCode     int    `json:"err_code,omitempty"`
	Description string `json:"description,omitempty"`
}

func (e *Error) Error() string {
	return e.Description + " (" + strconv.Itoa(e.ErrCode) + ")"
}

// Has says whether e is the error of the table with this number; false for nil.
func (e *Error) Has(errCode int) bool { return e != nil && e.ErrCode == errCode }

//go:embed errors.tsv
var errorTable string

const (
	firstErrCode = 10002
	lastErrCode  = 10228
)

// table holds the error numbered n at n-firstErrCode.
var table = mustReadTable(errorTable)

// Err gives the error of the table with this number. A number that the table does
// not have is a mistake of ours and panics.
func Err(errCode int) *Error {
	if errCode < firstErrCode || errCode > lastErrCode {
		panic(fmt.Sprintf("jetstream: no error numbered %d", errCode))
	}
	return &table[errCode-firstErrCode]
}

// ErrWith gives the error of the table with the placeholders of its description
// replaced: pairs are name, value, name, value.
func ErrWith(errCode int, pairs ...string) *Error {
	e := *Err(errCode)
	for i := 0; i+1 < len(pairs); i += 2 {
		e.Description = strings.ReplaceAll(e.Description, "{"+pairs[i]+"}", pairs[i+1])
	}
	return &e
}

// errText is ErrWith for the many errors whose text is one placeholder, {err}.
func errText(errCode int, format string, args ...any) *Error {
	return ErrWith(errCode, "err", fmt.Sprintf(format, args...))
}

// mustReadTable reads the embedded table, whose lines are constant, code, number
// and description, and panics when it is not complete.
func mustReadTable(tsv string) []Error {
	out := make([]Error, lastErrCode-firstErrCode+1)
	lines := strings.Split(strings.TrimSpace(tsv), "\n")
	for _, line := range lines[1:] {
		f := strings.Split(line, "\t")
		if len(f) != 4 {
			panic("jetstream: malformed line in errors.tsv: " + line)
		}
		code, err1 := strconv.Atoi(f[1])
		num, err2 := strconv.Atoi(f[2])
		if err1 != nil || err2 != nil || num < firstErrCode || num > lastErrCode {
			panic("jetstream: malformed number in errors.tsv: " + line)
		}
		out[num-firstErrCode] = Error{Code: code, ErrCode: num, Description: f[3]}
	}
	for i := range out {
		if out[i].ErrCode == 0 {
			panic(fmt.Sprintf("jetstream: errors.tsv misses %d", firstErrCode+i))
		}
	}
	return out
}
