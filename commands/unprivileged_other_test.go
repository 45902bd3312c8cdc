//go:build unix && !linux

package commands_test

import "errors"

func obeyModes() error { return errors.New("run these tests as another user than root") }
