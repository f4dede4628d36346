package multiraft

import (
	"encoding/hex"
	"errors"
	"fmt"
	"testing"

	"go.etcd.io/raft/v3/raftpb"
)

func TestStateIsReadAsItWasWritten(t *testing.T) {
	s := State{Term: 9, Vote: NewCopyID(2, 1), Commit: 70, Index: 60, IndexTerm: 8, Members: Members{
		Voters: []CopyID{NewCopyID(1, 1), NewCopyID(2, 1)}, Learners: []CopyID{NewCopyID(3, 2)},
	}}
	b := AppendState(nil, &s)
	got, err := DecodeState(b)
	if err != nil || fmt.Sprint(got) != fmt.Sprint(s) {
		t.Fatalf("got %+v, %v; want %+v", got, err, s)
	}
	for n := range b {
		if _, err := DecodeState(b[:n]); !errors.Is(err, ErrDamaged) {
			t.Fatalf("%d of %d bytes: %v", n, len(b), err)
		}
	}
}

// The bytes of format 1: a change here is a change of the format.
func TestStateOfFormat1IsRead(t *testing.T) {
	golden := "01" + "0900000000000000" + "0100000002000000" + "4600000000000000" +
		"3c00000000000000" + "0800000000000000" + "0200" + "0100" +
		"0100000001000000" + "0100000002000000" + "0200000003000000"
	b, err := hex.DecodeString(golden)
	if err != nil {
		t.Fatal(err)
	}
	want := State{Term: 9, Vote: NewCopyID(2, 1), Commit: 70, Index: 60, IndexTerm: 8, Members: Members{
		Voters: []CopyID{NewCopyID(1, 1), NewCopyID(2, 1)}, Learners: []CopyID{NewCopyID(3, 2)},
	}}
	s, err := DecodeState(b)
	if err != nil || fmt.Sprint(s) != fmt.Sprint(want) {
		t.Errorf("got %+v, %v; want %+v", s, err, want)
	}
	if again := hex.EncodeToString(AppendState(nil, &want)); again != golden {
		t.Errorf("wrote %s, want %s", again, golden)
	}
}

func FuzzDecodeState(f *testing.F) {
	f.Add(AppendState(nil, &State{Term: 1}))
	f.Add(AppendState(nil, &State{Term: 3, Vote: 1, Index: 4, IndexTerm: 2, Members: Members{Voters: []CopyID{1, 2, 3}, Learners: []CopyID{4}}}))
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, b []byte) {
		s, err := DecodeState(b)
		if err != nil {
			if !errors.Is(err, ErrDamaged) {
				t.Fatalf("error %v does not say damage", err)
			}
			return
		}
		if again := AppendState(nil, &s); string(again) != string(b) {
			t.Fatalf("%x became %x", b, again)
		}
	})
}

func TestChangeOfMembersIsReadAsRaftWroteIt(t *testing.T) {
	for _, c := range []Change{{AddLearner, 5}, {Promote, NewCopyID(7, 1)}, {Remove, 1}} {
		_, b, err := raftpb.MarshalConfChange(c.raft())
		if err != nil {
			t.Fatal(err)
		}
		if got, err := decodeChange(b); err != nil || got != c {
			t.Errorf("got %v, %v; want %v", got, err, c)
		}
	}
	if _, err := decodeChange([]byte{0xff}); !errors.Is(err, ErrDamaged) {
		t.Errorf("noise: %v", err)
	}
	if _, err := decodeChange(nil); !errors.Is(err, ErrDamaged) {
		t.Errorf("nothing: %v", err)
	}
}
