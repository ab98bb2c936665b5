# schema.awk: makes C out of a message schema (see worker/ocpp/ocpp16.schema, which
# explains the notation).
#
#   awk -f schema.awk -v out=tables  ocpp16.schema > ocpp16.c
#       the tables of worker/ocpp/schema.h, as `schema_ocpp16`. They include
#       ocpp_actions.def for the actions' numbers.
#   awk -f schema.awk -v out=actions ocpp16.schema ... > ocpp_actions.def
#       ACTION(name, direction, profile, event) in the order of the files; an
#       action that several versions have is listed once.
#   awk -f schema.awk -v out=answers ocpp16.schema ... > ocpp_answers.def
#       the knobs of [answers], as rows of common/conf.def.
#   awk -f schema.awk -v out=dialects ocpp16.schema ... > ocpp_dialects.def
#       DIALECT(symbol, subprotocol) in the order of the files, and
#       OCPP_VERSIONS, the subprotocols from the last file to the first.
#   awk -f schema.awk -v out=secrets ocpp16.schema ... > ocpp_secrets.def
#       SECRET_FIELD(name, KIND, "other") for each field that may hold a
#       secret, and SECRET_NAME("pattern") for names of secret variables.
#   awk -f schema.awk -v out=lua     ocpp16.schema ... > ocpp_answers.lua
#       ANSWERS of worker/fleet/ocppd.lua: what an answer of the platform must
#       hold, for each message that the platform can be asked about.
#
# POSIX awk. An error in a schema is reported as file:line: words, exit 1.

function die(words, line)
{
    printf "%s:%d: %s\n", file, line ? line : at, words > "/dev/stderr"
    failed = 1
    exit 1
}

# strcmp() < 0, whatever the locale says about order.
function less(a, b,    i, x, y)
{
    for (i = 1; i <= length(a) && i <= length(b); i++) {
        x = index(CHARS, substr(a, i, 1))
        y = index(CHARS, substr(b, i, 1))
        if (x != y)
            return x < y
    }
    return length(a) < length(b)
}

function check_name(name, what)
{
    if (name !~ /^[A-Za-z][A-Za-z0-9_]*$/)
        die("\"" name "\" is not a name for a " what)
}

function whole(text, what)
{
    if (text !~ /^[1-9][0-9]*$/ || length(text) > 6)
        die("\"" text "\" is not a valid " what)
    return text + 0
}

# Reads 1..3, 1.. or ..3 of word[i] into a new range.
function read_range(i,    bounds, w)
{
    w = word[i]
    if (w !~ /^(-?[0-9]+)?\.\.(-?[0-9]+)?$/ || w == "..")
        die("\"" w "\" is not of the form 0.., ..100 or 0..100")
    split(w, bounds, /\.\./)
    if (bounds[1] != "" && bounds[2] != "" && bounds[2] + 0 < bounds[1] + 0)
        die("\"" w "\" allows nothing")
    if (!(w in range_of)) {
        range_of[w] = ranges
        range_low[ranges] = bounds[1] == "" ? "INT32_MIN" : bounds[1]
        range_high[ranges++] = bounds[2] == "" ? "INT32_MAX" : bounds[2]
    }
    return range_of[w]
}

# Reads a type from word[from..words] into the globals t_*.
function read_type(from,    i, w, n)
{
    w = word[from]
    n = words - from + 1
    t_of = "NULL"; t_max = 0; t_decimals = "SCHEMA_ANY_DECIMALS"
    if (n == 0)
        die("a type is missing")
    if (n > 1 && word[from + 1] == "|") {
        read_words(from)
    } else if (w in type_kind) {
        if (n > 1)
            die("\"" word[from + 1] "\" after the type " w)
        type_used[w] = 1
        t_kind = type_kind[w]; t_of = type_of[w]
        t_max = type_max[w]; t_decimals = type_decimals[w]
    } else if (w == "string" || w == "text") {
        t_kind = w == "text" ? "TEXT" : "STRING"
        if (n > 1)
            t_max = whole(word[from + 1], "length")
        if (n > 2)
            die("\"" word[from + 2] "\" after the length")
    } else if ((w == "decimal" || w == "integer") && n == 2 &&
               word[from + 1] ~ /\.\./) {
        t_kind = w == "decimal" ? "NUMBER" : "INTEGER"
        t_of = read_range(from + 1)
    } else if (w == "decimal") {
        t_kind = "NUMBER"
        if (n > 1) {
            if (word[from + 1] !~ /^0\.0*1$/)
                die("\"" word[from + 1] "\" is not of the form 0.1, 0.01, ...")
            t_decimals = length(word[from + 1]) - 2
        }
        if (n > 2)
            die("\"" word[from + 2] "\" after the step")
    } else if (w in PLAIN) {
        t_kind = PLAIN[w]
        if (n > 1)
            die("\"" word[from + 1] "\" after the type " w)
    } else
        die("unknown type \"" w "\"; is it given with `type` above?")
}

# Reads A | B | C from word[from] on as a new enumeration.
function read_words(from,    i, seen, w)
{
    t_kind = "ENUM"
    t_of = enums++
    t_max = 0; t_decimals = "SCHEMA_ANY_DECIMALS"
    for (i = from; i <= words; i++) {
        w = word[i]
        if ((i - from) % 2) {
            if (w != "|")
                die("\"" w "\" where | is expected")
            continue
        }
        if (w !~ /^[A-Za-z0-9._-]+$/)
            die("\"" w "\" is not a word for a list")
        if (w in seen)
            die("\"" w "\" is in the list twice")
        seen[w] = 1
        enum_word[t_of, enum_count[t_of]++] = w
    }
}

function new_object(name)
{
    object_name[objects] = name
    object_fields[objects] = 0
    return objects++
}

# Reads `secret`, `secret with FIELD`, `secret of FIELD`, `secret login` or
# `secret pem` at the end of a field's line, and takes it away.
function read_secret(o, name, from,    i, kind, other)
{
    for (i = from + 1; i <= words && word[i] != "secret"; i++)
        ;
    if (i > words)
        return 0
    kind = word[i + 1]
    other = i + 2 <= words ? word[i + 2] : ""
    if (words > i + 2 || (kind ~ /^(with|of)$/) != (other != "") ||
        kind !~ /^(|with|of|login|pem)$/)
        die("expected: secret, secret with FIELD, secret of FIELD, secret " \
            "login or secret pem")
    words = i - 1
    word[i] = ""
    kind = kind == "" ? "ALWAYS" : toupper(kind)
    if (!((name, kind, other) in secret_seen)) {
        secret_seen[name, kind, other] = 1
        secret_row[secrets++] = "SECRET_FIELD(\"" name "\", " kind ", \"" \
            other "\")"
    }
    return 1
}

# Names of variables whose values are secrets; * matches any characters.
function read_secret_names(    i)
{
    for (i = 2; i <= words; i += 2) {
        if (word[i] !~ /^\*?[A-Za-z]+$/ || (i < words && word[i + 1] != "|"))
            die("expected: secrets NAME | *NAME ...")
        if (!(word[i] in secret_seen)) {
            secret_seen[word[i]] = 1
            secret_row[secrets++] = "SECRET_NAME(\"" word[i] "\")"
        }
    }
}

# Reads FIELD [ARRAY] TYPE from word[from] on.
function read_field(o, from,    name, mark, f, n, a, bounds)
{
    name = word[from]
    mark = substr(name, length(name))
    if (mark == "?" || mark == "~")
        name = substr(name, 1, length(name) - 1)
    else
        mark = ""
    check_name(name, "field")
    f = object_fields[o]++
    if (f == MAX_FIELDS)
        die("more than " MAX_FIELDS " fields")
    for (n = 0; n < f; n++)
        if (field_name[o, n] == name)
            die("field \"" name "\" is given twice")
    field_name[o, f] = name
    field_flags[o, f] = mark == "?" ? "0" : mark == "~" \
        ? "SCHEMA_REQUIRED | SCHEMA_USABLE_WITHOUT" : "SCHEMA_REQUIRED"
    if (mark != "?")
        object_required[o] += 2 ^ f
    field_min[o, f] = field_most[o, f] = 0
    from++
    if (read_secret(o, name, from)) {
        object_secret[o] = 1
        field_flags[o, f] = field_flags[o, f] == "0" ? "SCHEMA_SECRET" \
            : field_flags[o, f] " | SCHEMA_SECRET"
    }
    a = word[from]
    if (from <= words && a ~ /^\[/) {
        if (a != "[]") {
            if (a !~ /^\[[0-9]+\.\.[0-9]*\]$/)
                die("\"" a "\" is not of the form [], [1..] or [1..4]")
            split(substr(a, 2, length(a) - 2), bounds, /\.\./)
            field_min[o, f] = bounds[1] + 0
            field_most[o, f] = bounds[2] + 0
            if (bounds[2] != "" && bounds[2] + 0 < bounds[1] + 0)
                die("\"" a "\" allows nothing")
        }
        field_flags[o, f] = field_flags[o, f] == "0" ? "SCHEMA_ARRAY" \
            : field_flags[o, f] " | SCHEMA_ARRAY"
        from++
    }
    read_type(from)
    if (t_kind == "OBJECT" && t_of in object_secret)
        object_secret[o] = 1
    field_kind[o, f] = t_kind
    field_of[o, f] = t_of
    field_max[o, f] = t_max
    field_decimals[o, f] = t_decimals
}

function define(name)
{
    type_kind[name] = t_kind; type_of[name] = t_of
    type_max[name] = t_max; type_decimals[name] = t_decimals
    type_line[name] = at
}

# A type is complete only at the next heading: then it may be used, and not
# before, so that no type can contain itself.
function close_type()
{
    if (open_type == "")
        return
    if (open_object == "" || object_fields[open_object] == 0)
        die("type \"" open_type "\" has no content", open_line)
    t_kind = "OBJECT"; t_of = open_object
    t_max = 0; t_decimals = "SCHEMA_ANY_DECIMALS"
    define(open_type)
    type_line[open_type] = open_line
    open_type = ""
}

# A file whose protocol is that of the file before it continues with its types.
function open_dialect()
{
    close_dialect()
    if (dialects > 0 && out == "tables")
        die("tables are made of one protocol", 1)
    protocols[++dialects] = protocol
    dialect_flags = ""
    split("", type_kind)
    split("", type_used)
    split("", type_line)
}

function close_dialect(    name)
{
    for (name in type_kind)
        if (!(name in type_used)) {
            at = type_line[name]
            die("type \"" name "\" of " protocols[dialects] " is never used")
        }
}

# What holds of all messages of a protocol, or of a profile.
function read_options(from, of_protocol,    i, flags)
{
    flags = ""
    for (i = from; i <= words; i++)
        if (word[i] == "draft-06")
            flags = flags " | SCHEMA_DRAFT_06"
        else if (word[i] == "customData")
            flags = flags " | SCHEMA_CUSTOM_DATA"
        else
            die("\"" word[i] "\" is neither draft-06 nor customData")
    if (!of_protocol)
        profile_flags = flags
    else if (flags != "")
        dialect_flags = flags
}

function heading(    i)
{
    if (word[1] == "protocol") {
        if (protocol != "")
            die("a second protocol")
        if (words < 2 || word[2] !~ /^ocpp[0-9.]+$/)
            die("expected: protocol ocpp1.6")
        protocol = word[2]
        if (protocol != protocols[dialects])
            open_dialect()
        read_options(3, 1)
        return
    }
    if (protocol == "")
        die("the first line must be: protocol ocpp...")
    close_type()
    message = -1
    if (word[1] == "profile") {
        if (words < 2)
            die("expected: profile NAME")
        check_name(word[2], "profile")
        profile = word[2]
        profile_flags = ""
        read_options(3, 0)
    } else if (word[1] == "secrets") {
        read_secret_names()
    } else if (word[1] == "type") {
        if (words < 2)
            die("expected: type NAME ...")
        check_name(word[2], "type")
        if (word[2] in type_kind || word[2] in PLAIN ||
            word[2] ~ /^(string|text|decimal)$/)
            die("type \"" word[2] "\" is given twice")
        if (words > 2) {
            read_type(3)
            define(word[2])
        } else {
            open_type = word[2]
            open_line = at
            open_object = ""
        }
    } else if (word[1] == "message") {
        if (words < 3 || word[3] !~ /^(cp|cs|both)$/)
            die("expected: message NAME cp, cs or both")
        if (word[3] != "cs" && (words < 4 || word[4] !~ /^[a-z_]+$/))
            die("expected: message NAME cp EVENT; EVENT is a word of " \
                "event.def, or none")
        if (word[3] == "cs" && words > 3 &&
            (words > 4 || word[4] !~ /^(when-accepted|triggers)$/))
            die("\"" word[4] "\" after cs is neither when-accepted nor triggers")
        check_name(word[2], "message")
        if (profile == "")
            die("a message before any profile")
        if ((protocol, word[2]) in message_seen)
            die("message \"" word[2] "\" is given twice")
        message_seen[protocol, word[2]] = 1
        message = messages++
        message_name[message] = word[2]
        message_from[message] = word[3]
        message_profile[message] = profile
        message_protocol[message] = protocol
        message_event[message] = word[3] == "cs" ? "none" : word[4]
        message_flags[message] = "0" dialect_flags profile_flags
        if (word[4] == "when-accepted")
            message_flags[message] = message_flags[message] \
                " | SCHEMA_WHEN_ACCEPTED"
        if (word[3] == "cs" && word[4] == "triggers")
            message_flags[message] = message_flags[message] \
                " | SCHEMA_TRIGGERS"
        for (i = 5; i <= words; i++)
            if (word[i] == "by-payload")
                message_flags[message] = message_flags[message] \
                    " | SCHEMA_EVENT_BY_PAYLOAD"
            else if (word[i] == "send")
                message_flags[message] = message_flags[message] " | SCHEMA_SEND"
            else
                die("\"" word[i] "\" after the event is neither by-payload " \
                    "nor send")
        answer_words[message] = answer_platform[message] = 0
        message_request[message] = new_object(word[2] ".req")
        message_response[message] = new_object(word[2] ".conf")
    } else
        die("\"" word[1] "\" is not one of protocol, profile, secrets, type, message")
}

# The answer policy of a message that a charge point sends:
#   = platform                  the platform can be asked
#   = WORD STATUS[: SENTENCE]   a choice of the knob, and what it answers
#   = "SENTENCE"                of the knob itself, instead of a general one
function read_answer(m,    text, i, n)
{
    if (message_from[m] == "cs")
        die("the gateway does not answer " message_name[m])
    text = word[3]
    for (i = 4; i <= words; i++)
        text = text " " word[i]
    if (word[2] ~ /^"/) {
        text = word[2] " " text
        if (text !~ /^"[^"]*"$/)
            die("a sentence ends with a quote")
        answer_sentence[m] = text
    } else if (word[2] == "platform" && text == "") {
        answer_platform[m] = 1
    } else {
        check_name(word[2], "choice")
        n = answer_words[m]++
        answer_word[m, n] = word[2]
        answer_doc[m, n] = text
        sub(/:.*/, "", text)
        check_name(text, "status")
        answer_status[m, n] = text
    }
}

function body()
{
    if (open_type != "") {
        if (word[2] == "|") {
            if (open_object != "")
                die("a list of words among fields")
            read_words(1)
            define(open_type)
            open_type = ""
        } else {
            if (open_object == "")
                open_object = new_object(open_type)
            read_field(open_object, 1)
        }
    } else if (message >= 0) {
        if (word[1] == ">")
            read_field(message_request[message], 2)
        else if (word[1] == "<")
            read_field(message_response[message], 2)
        else if (word[1] == "=")
            read_answer(message)
        else
            die("a field of a message begins with > or <, its answer with =")
    } else
        die("a field that belongs to no type and no message")
}

BEGIN {
    CHARS = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
    MAX_FIELDS = 64
    PLAIN["dateTime"] = "DATETIME"; PLAIN["uri"] = "URI"
    PLAIN["integer"] = "INTEGER"; PLAIN["boolean"] = "BOOLEAN"
    PLAIN["any"] = "ANY"
    enums = objects = messages = ranges = dialects = secrets = 0
    message = -1
    if (out !~ /^(tables|actions|answers|dialects|secrets|lua)$/) {
        print "schema.awk: -v out=tables, actions, answers, dialects, " \
            "secrets or lua" \
            > "/dev/stderr"
        failed = 1
        exit 1
    }
}

FNR == 1 {
    if (NR > 1 && !failed)
        close_file()
    protocol = profile = profile_flags = open_type = pending = ""
    message = -1
    file = FILENAME
}

{
    sub(/#.*/, "")
    sub(/[ \t\r]+$/, "")
    if ($0 == "")
        next
    if (pending == "") {
        at = FNR
        indented = $0 ~ /^[ \t]/
    }
    pending = pending " " $0
    if (pending ~ /\|$/)
        next
    gsub(/\|/, " | ", pending)
    sub(/^[ \t]+/, "", pending)
    words = split(pending, word, /[ \t]+/)
    pending = ""
    # split() may have left words of a longer line here.
    word[words + 1] = ""
    if (indented)
        body()
    else
        heading()
}

function print_enum(e,    i, w)
{
    printf "static const struct schema_enum enum_%d = {\n", e
    for (i = 0; i < enum_count[e]; i++) {
        w = enum_word[e, i]
        printf "    \"\\%03o%s\"\n", length(w), w
    }
    printf "    , %d};\n\n", enum_count[e]
}

function print_fields(o,    f, of)
{
    if (object_fields[o] == 0)
        return
    printf "/* %s */\n", object_name[o]
    printf "static const struct schema_field fields_%d[] = {\n", o
    for (f = 0; f < object_fields[o]; f++) {
        of = ""
        if (field_kind[o, f] == "ENUM")
            of = ", .of.words = &enum_" field_of[o, f]
        if (field_kind[o, f] == "OBJECT")
            of = ", .of.object = &object_" field_of[o, f]
        if (field_kind[o, f] ~ /^(INTEGER|NUMBER)$/ && field_of[o, f] != "NULL")
            of = ", .of.range = &ranges[" field_of[o, f] "]"
        printf "    {.name = \"%s\", .name_len = %d, .type = SCHEMA_%s%s,\n",
            field_name[o, f], length(field_name[o, f]), field_kind[o, f], of
        printf "     .max = %d, .min_items = %d, .max_items = %d,\n",
            field_max[o, f], field_min[o, f], field_most[o, f]
        printf "     .flags = %s, .decimals = %s},\n",
            field_flags[o, f], field_decimals[o, f]
    }
    print "};\n"
}

function object_value(o)
{
    return sprintf("{\"%s\", %s, UINT64_C(%.0f), %d}", object_name[o],
        object_fields[o] ? "fields_" o : "NULL", object_required[o],
        object_fields[o])
}

function print_tables(    i, k, m, o, is_part, order, symbol)
{
    for (m = 0; m < messages; m++)
        is_part[message_request[m]] = is_part[message_response[m]] = 1
    print "/* Made by scripts/schema.awk from the schema of " protocol ". */"
    print "#include \"config.h\"\n#include \"ocpp/schema.h\"\n"
    print "enum {\n#define ACTION(name, direction, profile, event) action_##name,"
    print "#include \"ocpp_actions.def\"\n#undef ACTION\n};\n"
    if (ranges > 0) {
        print "static const struct schema_range ranges[] = {"
        for (i = 0; i < ranges; i++)
            printf "    {%s, %s},\n", range_low[i], range_high[i]
        print "};\n"
    }
    for (i = 0; i < enums; i++)
        print_enum(i)
    for (o = 0; o < objects; o++) {
        print_fields(o)
        if (!(o in is_part))
            printf "static const struct schema_object object_%d =\n" \
                "    %s;\n\n", o, object_value(o)
    }
    for (m = 0; m < messages; m++) {
        for (k = m; k > 0 && \
             less(message_name[m], message_name[order[k - 1]]); k--)
            order[k] = order[k - 1]
        order[k] = m
    }
    for (m = 0; m < messages; m++)
        print_answer(m)
    print "static const struct schema_message messages[] = {"
    for (i = 0; i < messages; i++) {
        m = order[i]
        printf "    {.name = \"%s\", .name_len = %d,\n",
            message_name[m], length(message_name[m])
        printf "     .profile = \"%s\", .action = action_%s,\n",
            message_profile[m], message_name[m]
        printf "     .direction = SCHEMA_%s, .event = EVENT_%s, .flags = %s,\n",
            toupper(message_from[m]), message_event[m], answer_flags(m)
        if (has_knob(m))
            printf "     .answer = &answer_%d,\n", m
        printf "     .request = %s,\n", object_value(message_request[m])
        printf "     .response = %s},\n", object_value(message_response[m])
    }
    print "};\n"
    printf "const struct schema_dialect schema_%s = {\n", symbol_of(protocol)
    printf "    \"%s\", messages, %d\n};\n", protocol, messages
}

function symbol_of(name)
{
    gsub(/\./, "", name)
    return name
}

function has_knob(m)
{
    return answer_words[m] > 0 || answer_platform[m]
}

# What must be at hand for the gateway's answer.
function answer_flags(m,    f, o, flags)
{
    o = message_response[m]
    flags = message_flags[m]
    if (o in object_secret || message_request[m] in object_secret)
        flags = flags " | SCHEMA_SECRETS"
    for (f = 0; f < object_fields[o]; f++)
        if (field_name[o, f] == "currentTime" ||
            (field_name[o, f] == "certificateStatus" &&
             field_kind[o, f] == "OBJECT"))
            flags = flags " | SCHEMA_ANSWERS_TIME"
        else if (field_name[o, f] ~ /^(idTagInfo|idTokenInfo)$/)
            flags = flags " | SCHEMA_ANSWERS_TOKEN"
    sub(/^0 \| /, "", flags)
    return flags
}

# The statuses in the order of the knob's choices; behind them the platform.
function print_answer(m,    i, n, knob)
{
    n = answer_words[m]
    if (!has_knob(m))
        return
    knob = "answers_" message_name[m]
    printf "static const char *const statuses_%d[] = {", m
    for (i = 0; i < n; i++)
        printf "%s\"%s\"", i ? ", " : "", answer_status[m, i]
    printf "%s};\n", n ? "" : "\"\""
    printf "static const struct schema_answer answer_%d = {\n", m
    printf "    .statuses = statuses_%d, .count = %d,\n", m, n ? n : 1
    printf "    .knob = offsetof(struct config, %s),\n", knob
    printf "    .first = CONF_%s_%s,\n", knob, n ? answer_word[m, 0] : "gateway"
    if (n > 1 && answer_platform[m]) {
        printf "    .fallback = offsetof(struct config, %s_fallback),\n", knob
        printf "    .fallback_first = CONF_%s_fallback_%s,\n", knob,
            answer_word[m, 0]
    }
    print "};\n"
}

# The same action of another version before m; m itself if there is none.
function first_of(m,    i)
{
    for (i = 0; i < m && message_name[i] != message_name[m]; i++)
        ;
    return i
}

function print_actions(    m)
{
    print "/* Made by scripts/schema.awk from the message schemas. */"
    for (m = 0; m < messages; m++)
        if (first_of(m) == m)
            printf "ACTION(%s, %s, %s, %s)\n", message_name[m],
                message_from[m], message_profile[m], message_event[m]
        else if (message_from[m] != message_from[first_of(m)] ||
                 message_event[m] != message_event[first_of(m)])
            die("message \"" message_name[m] "\" has another direction or " \
                "event than in an earlier file", 1)
}

function print_secrets(    i)
{
    print "/* Made by scripts/schema.awk from the message schemas. */"
    for (i = 0; i < secrets; i++)
        print secret_row[i]
}

function print_choices(m, knob,    i)
{
    for (i = 0; i < answer_words[m]; i++)
        printf "CHOICE(answers, %s, %s, \"%s\")\n", knob, answer_word[m, i],
            answer_doc[m, i]
}

function print_knob(m,    name, n, fallback)
{
    name = message_name[m]
    n = answer_words[m]
    if (n == 0) {
        printf "WORD(answers, %s, \"gateway\", LIVE, \"What answers %s.\")\n" \
            "CHOICE(answers, %s, gateway, \"the gateway\")\n" \
            "CHOICE(answers, %s, platform, \"the platform is asked through " \
            "Redis; without an answer in time, the gateway gives its own\")\n",
            name, name, name, name
        return
    }
    printf "WORD(answers, %s, \"%s\", LIVE, %s)\n", name, answer_word[m, 0],
        m in answer_sentence ? answer_sentence[m] \
            : "\"Status of the answer to " name ".\""
    print_choices(m, name)
    if (!answer_platform[m])
        return
    if (n == 1) {
        printf "CHOICE(answers, %s, platform, \"the platform is asked through " \
            "Redis; without an answer in time, the gateway gives its own\")\n",
            name
        return
    }
    fallback = name "_fallback"
    printf "CHOICE(answers, %s, platform, \"the platform is asked through " \
        "Redis; %s is given if it does not answer in time\")\n", name, fallback
    printf "WORD(answers, %s, \"%s\", LIVE, \"Status of the answer to %s if " \
        "the platform gives none in time.\")\n", fallback, answer_word[m, 0],
        name
    print_choices(m, fallback)
}

# Versions share a knob: what they choose from must be the same.
function check_same_choices(a, b,    i)
{
    for (i = 0; i < answer_words[a] || i < answer_words[b]; i++)
        if (answer_word[a, i] != answer_word[b, i])
            die("message \"" message_name[b] "\" has other choices than in " \
                "an earlier file", 1)
    if (answer_platform[a] != answer_platform[b])
        die("message \"" message_name[b] "\" differs in `= platform` from " \
            "an earlier file", 1)
}

function print_answers(    m)
{
    print "/* Made by scripts/schema.awk from the message schemas. */"
    for (m = 0; m < messages; m++)
        if (first_of(m) != m)
            check_same_choices(first_of(m), m)
        else if (has_knob(m))
            print_knob(m)
}

# A list of words is written once, where it is used first.
function lua_enum(e,    i, text)
{
    if (!(e in lua_name)) {
        lua_name[e] = "W[" ++lua_enums "]"
        for (i = 0; i < enum_count[e]; i++)
            text = text (i ? ", " : "") "'" enum_word[e, i] "'"
        print lua_name[e] " = one_of(" text ")"
    }
    return lua_name[e]
}

function lua_range(r,    low, high)
{
    low = range_low[r] == "INT32_MIN" ? "-2147483648" : range_low[r]
    high = range_high[r] == "INT32_MAX" ? "2147483647" : range_high[r]
    return low ", " high
}

function lua_check(o, f,    kind, of, check)
{
    kind = field_kind[o, f]
    of = field_of[o, f]
    if (kind == "ENUM")
        check = lua_enum(of)
    else if (kind == "OBJECT")
        check = lua_object(of)
    else if (kind ~ /^(STRING|TEXT)$/)
        check = "text(" (field_max[o, f] ? field_max[o, f] : "") ")"
    else if (kind == "INTEGER")
        check = "integer(" (of == "NULL" ? "" : lua_range(of)) ")"
    else if (kind == "NUMBER")
        check = "number(" (of == "NULL" ? "" : lua_range(of)) ")"
    else
        check = tolower(kind)
    if (field_flags[o, f] ~ /SCHEMA_ARRAY/)
        check = "list(" check ", " field_min[o, f] \
            (field_most[o, f] ? ", " field_most[o, f] : "") ")"
    return check
}

# The objects inside of an object are printed before it. Types do not contain
# themselves.
function lua_object(o,    f, text)
{
    if (!((o, lua_custom) in lua_table)) {
        for (f = 0; f < object_fields[o]; f++)
            text = text (text == "" ? "" : ", ") "['" field_name[o, f] \
                (field_flags[o, f] ~ /SCHEMA_REQUIRED/ ? "" : "?") "'] = " \
                lua_check(o, f)
        if (lua_custom)
            text = text (text == "" ? "" : ", ") "['customData?'] = custom"
        lua_table[o, lua_custom] = "T[" ++lua_tables "]"
        print lua_table[o, lua_custom] " = object{" text "}"
    }
    return lua_table[o, lua_custom]
}

function print_lua(    m, i)
{
    print "\n-- Made by scripts/schema.awk from the message schemas."
    print "local W, T = {}, {} -- lists of words, objects"
    lua_enums = lua_tables = 0
    for (i = 1; i <= dialects; i++)
        print "ANSWERS['" protocols[i] "'] = {}"
    for (m = 0; m < messages; m++) {
        if (!answer_platform[m])
            continue
        lua_custom = message_flags[m] ~ /SCHEMA_CUSTOM_DATA/
        print "ANSWERS['" message_protocol[m] "']." message_name[m] " = " \
            lua_object(message_response[m])
    }
    print ""
}

function print_dialects(    i, all)
{
    print "/* Made by scripts/schema.awk from the message schemas. */"
    for (i = 1; i <= dialects; i++)
        all = protocols[i] (i > 1 ? " " : "") all
    printf "#define OCPP_VERSIONS \"%s\"\n", all
    for (i = 1; i <= dialects; i++)
        printf "DIALECT(%s, \"%s\")\n", symbol_of(protocols[i]), protocols[i]
}

function close_file()
{
    if (pending != "")
        die("a list continues after | but the file ends")
    close_type()
}

END {
    if (failed)
        exit 1
    close_file()
    close_dialect()
    if (messages == 0)
        die("no messages", 1)
    if (out == "tables")
        print_tables()
    else if (out == "actions")
        print_actions()
    else if (out == "secrets")
        print_secrets()
    else if (out == "answers")
        print_answers()
    else if (out == "lua")
        print_lua()
    else
        print_dialects()
}
