-- A database for each cell; the root's is made by the image itself.
CREATE DATABASE eu OWNER cellferry;
CREATE DATABASE us OWNER cellferry;
