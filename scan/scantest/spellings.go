// Package scantest writes text in the ways in which other programs do.
package scantest

import (
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"net/url"
	"strings"
	"unicode/utf16"
)

// Spelled are the ways in which a text of ASCII is found in other files.
func Spelled(s string) map[string]string {
	b64 := base64.StdEncoding.EncodeToString
	around := func(before, after int) []byte {
		return []byte(strings.Repeat("x.", 30)[:before] + " " + s + strings.Repeat(" y", 30)[:after])
	}
	wide := b64(Wide(s))
	all := map[string]string{
		"base64":              b64([]byte(s)),
		"base64, wrapped 20":  Wrap(b64(around(7, 20)), 20, "\n"),
		"base64, wrapped 9":   Wrap(b64(around(8, 20)), 9, "\n    "),
		"base64, quoted":      "(" + "\"" + Wrap(b64(around(9, 20)), 30, "\"\n \"") + "\")",
		"base64, plus":        "k = \"" + Wrap(b64(around(10, 20)), 30, "\" +\n    \"") + "\";",
		"base64, cited":       "> " + Wrap(b64(around(11, 20)), 33, "\n> "),
		"base64 twice":        b64([]byte(b64(around(3, 9)))),
		"base64, stuck":       "/etc/config" + b64(around(3, 9)),
		"base64 of UTF-16":    "powershell -enc " + wide,
		"base64 of UTF-16, 1": b64(append([]byte("x"), Wide("echo "+s)...)),
		"base64 of UTF-16BE":  b64(swapped(Wide(s))),
		"kubernetes":          "apiVersion: v1\nkind: Secret\ndata:\n  token: " + b64([]byte(s)),
		"basic":               "curl -H 'Authorization: Basic " + b64([]byte("user:"+s)) + "'",
		"docker":              "{\"auths\": {\"ghcr.io\": {\"auth\": \"" + b64([]byte("muxi:"+s)) + "\"}}}",
		"base64 of JSON":      b64([]byte("{\"key\":\"" + s + "\"}")),
		"base64 in JSON":      "\"a\\n" + strings.ReplaceAll(b64(around(3, 9)), "/", `\/`) + "\"",
		"hex":                 "x = 0x" + hex.EncodeToString([]byte(s)),
		"HEX":                 strings.ToUpper(hex.EncodeToString(around(3, 9))),
		"hex, mixed":          strings.ReplaceAll(strings.ToUpper(hex.EncodeToString([]byte(s))), "E", "e"),
		"hex, wrapped":        Wrap(hex.EncodeToString(around(3, 9)), 60, "\n"),
		"colons":              Wrap(hex.EncodeToString([]byte(s)), 2, ":"),
		"xxd":                 Dump(around(5, 9), 16, 2, "%08x: ", " ", "  "+"%s"),
		"xxd -g1":             Dump(around(5, 9), 16, 1, "%08x: ", " ", "  "+"%s"),
		"hexdump -C":          Dump(around(5, 9), 16, 1, "%08x  ", " ", "  |%s|"),
		"od -tx1":             Dump(around(5, 9), 16, 1, "%07o ", " ", ""),
		"hexdump":             Dump(swapped(around(5, 9)), 16, 2, "%07x ", " ", ""),
		"C":                   "{ " + Dump(around(5, 9), 12, 1, "  0x", ", 0x", ",") + "};",
		"url, all":            Percent(s),
		"url, twice":          url.QueryEscape(Percent(s)),
		"url, twice, query":   url.QueryEscape(url.QueryEscape("é " + s + "=")),
		"entities":            entity(s, "&#%d;"),
		"entities, hex":       entity(s, "&#x%X;"),
		"backslash u":         UnicodeEscapes(s),
		"backslash u, braced": entity(s, `\u{%x}`),
		"backslash x":         entity(s, `\x%02x`),
		"JSON in JSON":        strings.ReplaceAll(UnicodeEscapes(s), `\`, `\\`),
		"YAML, broken":        "key: \"" + s[:5] + "\\\n     " + s[5:9] + "\\\r\n\t" + s[9:] + "\"",
		"colours":             s[:4] + "\x1b[1;31m" + s[4:9] + "\x1b[0m" + s[9:],
		"colours, escaped":    s[:4] + `\u001b[1;31m` + s[4:9] + `\u001b[0m` + s[9:],
		"link":                s[:4] + "\x1b]8;;http://x\x1b\\" + s[4:],
	}
	return all
}

// Dump lists bytes in lines of width, in groups.
func Dump(content []byte, width, group int, offset, between, text string) string {
	var b strings.Builder
	for at := 0; at < len(content); at += width {
		line := content[at:min(len(content), at+width)]
		if strings.Contains(offset, "%") {
			fmt.Fprintf(&b, offset, at)
		} else {
			b.WriteString(offset)
		}
		var groups []string
		for i := 0; i < len(line); i += group {
			groups = append(groups, hex.EncodeToString(line[i:min(len(line), i+group)]))
		}
		row := strings.Join(groups, between)
		if strings.Contains(text, "%") {
			row = fmt.Sprintf("%-*s", width*2+(width/group-1)*len(between), row) + fmt.Sprintf(text, line)
		} else {
			row += text
		}
		b.WriteString(row + "\n")
	}
	return b.String()
}

func swapped(s []byte) []byte {
	s = append(s, make([]byte, len(s)%2)...)
	for i := 0; i+1 < len(s); i += 2 {
		s[i], s[i+1] = s[i+1], s[i]
	}
	return s
}

// Percent escapes all of a text for a URL.
func Percent(s string) string {
	return entity(s, "%%%02X")
}

func entity(s, format string) string {
	var out strings.Builder
	for i := 0; i < len(s); i++ {
		fmt.Fprintf(&out, format, s[i])
	}
	return out.String()
}

// UnicodeEscapes escapes all of a text for JSON.
func UnicodeEscapes(s string) string {
	var out strings.Builder
	for _, u := range utf16.Encode([]rune(s)) {
		fmt.Fprintf(&out, `\u%04X`, u)
	}
	return out.String()
}

// Wide is a text in UTF-16, little-endian.
func Wide(s string) (b []byte) {
	for _, u := range utf16.Encode([]rune(s)) {
		b = append(b, byte(u), byte(u>>8))
	}
	return b
}

// Wrap breaks a text into lines.
func Wrap(s string, width int, with string) string {
	var lines []string
	for len(s) > width {
		lines, s = append(lines, s[:width]), s[width:]
	}
	return strings.Join(append(lines, s), with)
}
