package vfs

import (
	"errors"
	"os"
	"path/filepath"
	"testing"
)

func TestALockForReadingExcludesOthersAndWritesNothing(t *testing.T) {
	name := filepath.Join(t.TempDir(), "lock")
	if _, err := (OS{}).LockRead(name); !errors.Is(err, os.ErrNotExist) {
		t.Fatalf("lock on a file that is not there: %v", err)
	}
	if err := os.WriteFile(name, nil, 0o400); err != nil {
		t.Fatal(err)
	}
	held, err := OS{}.LockRead(name)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := (OS{}).LockRead(name); !errors.Is(err, ErrLocked) {
		t.Errorf("second lock: %v", err)
	}
	if err := held.Close(); err != nil {
		t.Fatal(err)
	}
	again, err := OS{}.LockRead(name)
	if err != nil {
		t.Fatal(err)
	}
	if err := again.Close(); err != nil {
		t.Fatal(err)
	}
}
