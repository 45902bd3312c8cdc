package trace

import (
	"context"
	"strings"
	"testing"
	"time"
)

func TestTrace(t *testing.T) {
	clock := time.Unix(0, 0)
	now := func() time.Time { clock = clock.Add(time.Millisecond); return clock }
	var out strings.Builder
	ctx := To(t.Context(), &out, now)

	Say(ctx, "looked at %d", 3)
	done := Timed(ctx)
	done("git %s", "log")

	want := "trace:      1.0 ms  looked at 3\ntrace:      4.0 ms  git log, 1.0 ms\n"
	if out.String() != want {
		t.Errorf("got\n%swant\n%s", &out, want)
	}
	Say(context.Background(), "nobody asked")
	Timed(context.Background())("nobody asked")
	if out.String() != want {
		t.Error("something is said where nobody asked")
	}
}
