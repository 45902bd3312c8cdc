package commands

// WrongCall says what a call of the program names that does not exist; "" for
// nothing. words are those behind the program's name.
func WrongCall(words []string) string { return wrongCall(testApp(), words) }
