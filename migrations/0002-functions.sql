-- Skew-binary jump pointers (Eugene W. Myers, "An applicative random-access stack", 1983): each version points to one
-- further down its chain of first parents, at distances such that any ancestor is reached in a logarithmic number of steps.
-- A trigger keeps them, so that no writer of versions can forget to; it sees the rows that the same statement inserted before.
-- Rows are looked up one by one, and never by scanning: a plan that was made while the table was small is kept for long after.
CREATE FUNCTION set_version_jump() RETURNS trigger LANGUAGE plpgsql SET enable_seqscan = off AS $$
DECLARE
  parent record;
  jump record;
  second_depth integer;
BEGIN
  IF cardinality(NEW.parents) = 0 THEN
    NEW.depth := 0;
    NEW.jump_id := NULL;
    RETURN NEW;
  END IF;
  SELECT v.depth, v.jump_id INTO STRICT parent FROM versions v WHERE v.dataset_id = NEW.dataset_id AND v.version_id = NEW.parents[1];
  SELECT v.depth, v.jump_id INTO jump FROM versions v WHERE v.dataset_id = NEW.dataset_id AND v.version_id = parent.jump_id;
  SELECT v.depth INTO second_depth FROM versions v WHERE v.dataset_id = NEW.dataset_id AND v.version_id = jump.jump_id;
  NEW.depth := parent.depth + 1;
  IF parent.depth - jump.depth = jump.depth - second_depth THEN
    NEW.jump_id := jump.jump_id;
  ELSE
    NEW.jump_id := NEW.parents[1];
  END IF;
  RETURN NEW;
END;
$$;

CREATE TRIGGER versions_jump BEFORE INSERT ON versions FOR EACH ROW EXECUTE FUNCTION set_version_jump();

-- The version `steps` first parents back, or null past the root.
CREATE FUNCTION version_ancestor(of_dataset integer, of_version integer, steps integer) RETURNS integer
LANGUAGE plpgsql STABLE SET enable_seqscan = off AS $$
DECLARE
  current_id integer := of_version;
  target integer;
  here record;
  jump_depth integer;
BEGIN
  LOOP
    SELECT v.depth, v.parents[1] AS parent_id, v.jump_id INTO here FROM versions v WHERE v.dataset_id = of_dataset AND v.version_id = current_id;
    IF NOT FOUND THEN
      RETURN NULL;
    END IF;
    target := coalesce(target, here.depth - steps);
    IF target < 0 THEN
      RETURN NULL;
    ELSIF here.depth = target THEN
      RETURN current_id;
    END IF;
    SELECT v.depth INTO jump_depth FROM versions v WHERE v.dataset_id = of_dataset AND v.version_id = here.jump_id;
    IF jump_depth >= target THEN
      current_id := here.jump_id;
    ELSE
      current_id := here.parent_id;
    END IF;
  END LOOP;
END;
$$;

-- Walks ancestors by falling generation, then falling id. A version's children all have higher generations, so when its turn
-- comes every way to it is known, and comparing with what waits is enough to visit it once. `frontier` is sorted, next one first.
CREATE FUNCTION version_history(of_dataset integer, start integer[], page integer, OUT visited integer[], OUT frontier integer[])
LANGUAGE plpgsql STABLE SET enable_seqscan = off AS $$
DECLARE
  current_id integer;
  next_ids integer[];
BEGIN
  visited := '{}';
  SELECT coalesce(array_agg(v.version_id ORDER BY v.generation DESC, v.version_id DESC), '{}') INTO frontier
    FROM versions v WHERE v.dataset_id = of_dataset AND v.version_id = ANY (start);
  WHILE cardinality(visited) < page AND cardinality(frontier) > 0 LOOP
    current_id := frontier[1];
    visited := visited || current_id;
    SELECT v.parents INTO next_ids FROM versions v WHERE v.dataset_id = of_dataset AND v.version_id = current_id;
    frontier := frontier[2:];
    IF cardinality(frontier) = 0 AND cardinality(next_ids) <= 1 THEN
      frontier := next_ids;
    ELSE
      SELECT coalesce(array_agg(v.version_id ORDER BY v.generation DESC, v.version_id DESC), '{}') INTO frontier
        FROM versions v WHERE v.dataset_id = of_dataset AND v.version_id = ANY (frontier || next_ids);
    END IF;
  END LOOP;
END;
$$;

CREATE FUNCTION refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  RAISE EXCEPTION '% only grows', TG_TABLE_NAME USING ERRCODE = 'restrict_violation';
END;
$$;

CREATE TRIGGER audit_only_grows BEFORE UPDATE OR DELETE ON audit FOR EACH ROW EXECUTE FUNCTION refuse_change();
CREATE TRIGGER audit_only_grows_whole BEFORE TRUNCATE ON audit FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
