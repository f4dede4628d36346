package jetstream

import (
	"encoding/json"
	"testing"
)

func TestErrorTableHoldsEveryNumber(t *testing.T) {
	for n := firstErrCode; n <= lastErrCode; n++ {
		e := Err(n)
		if e.ErrCode != n || e.Code < 400 || e.Code > 599 || e.Description == "" {
			t.Errorf("%d is %+v", n, e)
		}
	}
}

func TestErrPanicsForANumberOutsideTheTable(t *testing.T) {
	for _, n := range []int{0, firstErrCode - 1, lastErrCode + 1} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("%d did not panic", n)
				}
			}()
			Err(n)
		}()
	}
}

func TestErrWithReplacesPlaceholdersInACopy(t *testing.T) {
	got := ErrWith(CodeWrongLastSequence, "seq", "5")
	want := Error{Code: 400, ErrCode: 10071, Description: "wrong last sequence: 5"}
	if *got != want {
		t.Fatalf("got %+v", got)
	}
	if Err(CodeWrongLastSequence).Description != "wrong last sequence: {seq}" {
		t.Fatal("the table changed")
	}
	two := ErrWith(10042, "subject", "a.b", "err", "no")
	if two.Description != "JetStream unable to subscribe to restore snapshot a.b: no" {
		t.Fatalf("got %q", two.Description)
	}
}

func TestErrorIsSentWithItsNumbers(t *testing.T) {
	b, _ := json.Marshal(Err(CodeStreamNotFound))
	if string(b) != `{"code":404,"err_code":10059,"description":"stream not found"}` {
		t.Fatalf("got %s", b)
	}
	if Err(CodeStreamNotFound).Error() != "stream not found (10059)" {
		t.Fatal(Err(CodeStreamNotFound).Error())
	}
	var none *Error
	if none.Has(CodeStreamNotFound) || !Err(CodeStreamNotFound).Has(CodeStreamNotFound) {
		t.Fatal("Has is wrong")
	}
}
